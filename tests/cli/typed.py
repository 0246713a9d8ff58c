"""typed.py - runs a program on a terminal of its own and types stdin when it asks.

Usage: typed.py QUESTION PROGRAM ARGS...
Prints what the terminal showed, then whether it echoes and edits lines as before.
Exit code: the program's; 128 + the signal that ended it.
"""
import os
import pty
import signal
import sys
import termios

signal.alarm(20)
typed = sys.stdin.buffer.read()
question, argv = sys.argv[1].encode(), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(argv[0], argv)

shown, asked = b"", False
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:  # the program closed its side
        break
    shown += part
    if question in shown and not asked:
        asked = True
        while typed:
            typed = typed[os.write(terminal, typed[:1024]):]

_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
lflag = termios.tcgetattr(terminal)[3]
print("\necho", "on" if lflag & termios.ECHO else "off")
print("lines", "on" if lflag & termios.ICANON else "off")
sys.exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
