"""What every command shows is made of: tables, a page, figures."""
