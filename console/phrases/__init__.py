"""English sentences of the platform and their Chinese ones, as data: looked up by `console.phrasebook` alone."""
