// Loaded before a program: says at its end how much memory the process had at its largest, in KiB.
process.on('exit', () => process.stderr.write(`\nPEAK ${process.resourceUsage().maxRSS}\n`))
