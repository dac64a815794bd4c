"""What runs on top of both packages: recipes, and the demo film."""
