"""Networks from files that hold operators and no Python: vetted before torch reads them."""
