"""The colleagues' pages."""
