"""How the demo model was made; see ../MODEL.md. Not part of the wheel."""
