"""What Bartizan keeps, through SQLAlchemy Core. Nothing here decodes or judges."""
