"""What people say of captions: the file of their ratings, the pages to rate on, and what the ratings say."""
