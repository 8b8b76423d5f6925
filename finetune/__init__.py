"""Fine-tune image captioning models on fashion catalogues."""
