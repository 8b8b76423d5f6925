"""Similar items, reduced and clustered search, and how good they are, on stores of features."""
