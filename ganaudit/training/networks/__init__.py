"""The networks that a recipe may name: pairs of generator and discriminator, sized by the data."""
