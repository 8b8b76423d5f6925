"""Memory that a training takes, estimated before anything is loaded."""
