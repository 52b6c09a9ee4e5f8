# SPDX-License-Identifier: MIT
"""As much of a terminal as ncurses uses of an xterm: the screen as text, and where it is red."""
import fcntl
import re
import struct
import termios

from command import Terminal

TOKEN = re.compile(r'\x1b\[([?>!]?)([\d;]*)([@-~])|\x1b[()][0AB]|\x1b[=>78M]|\x1b\][^\x07]*\x07|[\s\S]')


class Screen(Terminal):
    def __init__(self, *arguments, rows=24, columns=80, **more):
        self.rows, self.columns = rows, columns
        self.clear()
        super().__init__(*arguments, rows=rows, columns=columns, **more)

    def clear(self):
        self.cells = [[' '] * self.columns for _ in range(self.rows)]
        self.reds = [[False] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0
        self.first, self.last = 0, self.rows - 1
        self.is_red = False

    def lines(self):
        return [''.join(row).rstrip() for row in self.cells]

    def red_lines(self):
        """The lines whose first visible character is red."""
        return [line for line, reds in zip(self.lines(), self.reds)
                if line and reds[len(line) - len(line.lstrip())]]

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.clear()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def until(self, condition):
        """Until the screen is so; the test's time-out is the judge."""
        while not condition(self.lines()):
            more = self._read(None)
            assert more, ('the end came first', self.lines())
            self.text += more
            self._show()

    def _show(self):
        # What is cut in the middle waits for the rest.
        try:
            text = self.text.decode()
        except UnicodeDecodeError:
            return
        cut = re.search(r'\x1b(\[[?>!]?[\d;]*|[()]?|\][^\x07]*)?$', text)
        self.text = text[cut.start():].encode() if cut else b''
        for token in TOKEN.finditer(text[:cut.start()] if cut else text):
            self._take(token)

    def _take(self, token):
        if token[3] and not token[1]:
            self._obey([int(word or 0) for word in token[2].split(';')], token[3])
        elif token[0] == '\r':
            self.column = 0
        elif token[0] == '\n':
            self._scroll(self.first, self.last, 1) if self.row == self.last else self._down(1)
        elif token[0] == '\x1bM':
            self._scroll(self.first, self.last, -1) if self.row == self.first else self._down(-1)
        elif token[0] == '\b':
            self.column = max(self.column - 1, 0)
        elif token[0] >= ' ' and len(token[0]) == 1:
            self._put(token[0])

    def _put(self, character):
        if self.row < self.rows and self.column < self.columns:
            self.cells[self.row][self.column] = character
            self.reds[self.row][self.column] = self.is_red
        self.column += 1
        self.character = character

    def _down(self, count):
        self.row = max(0, min(self.row + count, self.rows - 1))

    def _scroll(self, first, last, count):
        """Up by so many lines; down when negative."""
        for grid, empty in ((self.cells, ' '), (self.reds, False)):
            for _ in range(abs(count)):
                grid.insert(last + 1 if count > 0 else first, [empty] * self.columns)
                del grid[first if count > 0 else last + 1]

    def _shift(self, count):
        """The rest of the line to the right; to the left when negative."""
        for grid, empty in ((self.cells, ' '), (self.reds, False)):
            rest = grid[self.row][self.column:]
            rest = [empty] * count + rest if count > 0 else rest[-count:] + [empty] * -count
            grid[self.row][self.column:] = rest[:self.columns - self.column]

    def _erase(self, first, last, row=None):
        for column in range(first, min(last, self.columns)):
            self.cells[self.row if row is None else row][column] = ' '
            self.reds[self.row if row is None else row][column] = False

    def _obey(self, numbers, letter):
        one = numbers[0] or 1
        if letter == 'H':
            self.row, self.column = one - 1, (numbers + [1])[1] - 1 if len(numbers) > 1 else 0
        elif letter == 'd':
            self.row = one - 1
        elif letter == 'G':
            self.column = one - 1
        elif letter in 'ABCD':
            self.row += {'A': -one, 'B': one}.get(letter, 0)
            self.column += {'C': one, 'D': -one}.get(letter, 0)
        elif letter == 'X':
            self._erase(self.column, self.column + one)
        elif letter == 'b':
            for _ in range(one):
                self._put(self.character)
        elif letter == 'K':
            self._erase(0 if numbers[0] else self.column, self.column if numbers[0] == 1 else self.columns)
        elif letter == 'J':
            self._erase(0 if numbers[0] == 2 else self.column, self.columns)
            for row in range(0 if numbers[0] == 2 else self.row + 1, self.rows):
                self._erase(0, self.columns, row)
        elif letter in 'ST':
            self._scroll(self.first, self.last, one if letter == 'S' else -one)
        elif letter in 'LM':
            self._scroll(self.row, self.last, one if letter == 'M' else -one)
        elif letter in '@P':
            self._shift(one if letter == '@' else -one)
        elif letter == 'r':
            self.first, self.last = one - 1, (numbers[1] if len(numbers) > 1 else self.rows) - 1
            self.row = self.column = 0
        elif letter == 'm':
            for number in numbers:
                self.is_red = number == 31 or (self.is_red and number not in (0, 39))
        else:
            assert letter in 'hlt', f'ncurses uses CSI {letter}'
