"""What the rows of a recipe come to: JSON, Markdown, HTML, and one sentence whether captions helped."""
