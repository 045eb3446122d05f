package main

import "slices"

// scripts are all hand-written sequences.
var scripts = slices.Concat(produceScripts, fetchScripts, offsetScripts, metadataScripts, adminScripts, groupScripts,
	connectionScripts, sequenceScripts, formatScripts, raceScripts, sessionScripts, changeScripts, securityScripts, versionScripts)
