"""What the lessons are written with, and where they lie."""
