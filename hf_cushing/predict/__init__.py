"""One answer for a photo: the command, the Space, programs and the reading kit ask here."""
