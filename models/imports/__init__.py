"""Spreadsheets in: a file becomes rows of text, columns are recognised, and each row is taken by the verbs that pages use.

``sheet`` reads a file as a stream, ``columns`` knows what a header means, ``survey`` looks at a whole column before any of
its cells is read, ``cells`` reads one cell, ``chance`` a row about a deal, ``meanings`` knows what its words mean here, ``people`` and
``deals`` take one row, ``store`` keeps an import and its lease,
``run`` takes a part of it.
"""
