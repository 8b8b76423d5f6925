"""The network of the family `prefix`: a photo encoder, a connector that makes prefix tokens, a language model."""
