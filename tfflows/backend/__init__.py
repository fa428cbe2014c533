"""What the backends do differently: compilation, differentiation, random numbers; a case each."""
