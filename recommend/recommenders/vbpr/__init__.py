"""VBPR: factors of customers and articles, and what the articles' features add to them; without features, BPR."""
