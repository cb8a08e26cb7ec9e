"""What is audited: a generator, maybe its discriminator, or only samples; and how they are read from files."""
