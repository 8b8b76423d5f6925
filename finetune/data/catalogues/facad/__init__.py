"""FACAD: HDF5 photos, JSON captions, a meta file of all items."""
