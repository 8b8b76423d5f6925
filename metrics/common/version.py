"""The name under which Lookbook is installed, and its version."""

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "lookbook-captions"  # `lookbook` on PyPI is somebody else's


def installed_version() -> str:
    """Return the version of the distribution, `unknown` if the packages run without being installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
