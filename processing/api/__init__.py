"""HTTP for work on media: how jobs and analyses are shown."""
