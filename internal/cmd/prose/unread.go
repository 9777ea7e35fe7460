package main

// notRead is the reason for a folder to be in unread.
const notRead = "not read yet"

// unread lists the folders whose texts still have findings. The list must shrink: it has no folder without findings.
var unread = map[string]string{}
