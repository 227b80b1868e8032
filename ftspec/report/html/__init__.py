"""Pages that need nothing but themselves: no script, no font, no image, no address of another host."""
