"""The command line: each verb parses, calls one function, writes and answers with an exit code."""
