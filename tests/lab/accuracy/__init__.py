"""How the product is held against other tools and a real gateway, and the page that says what came of it."""
