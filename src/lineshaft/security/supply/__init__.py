"""What we are made of, and whether it is still that.

`parts` finds the components, `bom` writes them down (CycloneDX), `installed` compares
files with what was installed, `minisign` and `release` sign and verify a release,
`listeners` lists every port that we ever open.
"""
