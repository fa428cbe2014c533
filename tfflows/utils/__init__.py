"""What any part of tfflows may use: it imports no other part."""
