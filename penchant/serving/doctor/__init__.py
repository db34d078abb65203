"""How people reach the doctor: `reading` makes what it examines of a log or of files, `showing` tells what it found."""
