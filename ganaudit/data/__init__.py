"""What a subject is held against: samples that are read, built-in sets, references and their splits."""
