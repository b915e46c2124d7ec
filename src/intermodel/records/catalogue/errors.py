"""What goes wrong within the catalogue, and is mended there."""


class DamagedError(Exception):
    """The bytes of a segment are not what was written. It can be made again from the entries."""
