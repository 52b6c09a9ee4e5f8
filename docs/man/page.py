# SPDX-License-Identifier: MIT
"""Fill in a page of section 3 from the headers, which are the source of truth.

usage: page.py PAGE.scd INCLUDE-DIRECTORY EXAMPLE-DIRECTORY     writes scdoc's input to standard output

Lines of the page that begin with @ stand for
  @synopsis           the declarations of the functions in the NAME line
  @describe           what the headers say of them, and their parameters
  @returns            what they return
  @type NAME...       a struct or enum, and its members
  @define NAME...     what the headers say of these macros
  @note FILE WORD     the paragraph of that header's first comment which begins with "WORD:"
  @example FILE       a program, without its licence line
"""
import pathlib
import re
import sys


def die(message):
    sys.exit(f'{sys.argv[1]}: {message}')


def text_of(comment):
    """The words of a comment, without its stars."""
    return re.sub(r'(?m)^[ \t]*\*?[ \t]?', '', re.sub(r'^/\*+|\*/$', '', comment.strip())).strip('\n')


def tidy(text):
    """Lists as scdoc wants them: items at the margin, their lines below each other, an empty line around."""
    lines, inside = [], False
    for line in text.split('\n'):
        item = re.match(' *- ', line)
        if lines and lines[-1] and (item and not inside or inside and not item and line[:1] != ' '):
            lines.append('')
        inside = bool(item or inside and line[:1] == ' ')
        lines.append(line.lstrip() if item or not inside else '  ' + line.lstrip())
    return '\n'.join(lines)


def prose(text):
    """As scdoc wants it: functions, constants and errors bold, parameters underlined."""
    text = tidy(text)
    text = text.replace('…', '...').replace('µ', 'u')
    text = re.sub(r'[\\*_#\[\]`<>]', r'\\\g<0>', text)
    text = re.sub(r'\\\*(\w+)\\\*', r'_\1_', text)
    text = re.sub(r'@(\w+(?:\\_\w+)*)', r'_\1_', text)
    text = re.sub(r'\bpeal(?:\\_\w+?)+(?=\(\))', r'*\g<0>*', text)
    text = re.sub(r'\bPEAL(?:\\_[A-Z0-9]+)+(?:\\_\.\.\.)?', r'*\g<0>*', text)
    return re.sub(r'-E[A-Z0-9]{2,}\b', r'*\g<0>*', text)


def literal(text):
    return '```\n' + text.replace('\\', '\\\\').expandtabs(8) + '\n```'


def indent(text):
    return re.sub(r'(?m)^(?=.)', '\t', text)


class Function:
    def __init__(self, comment, declaration, header):
        self.header = header
        words = declaration.replace('PEAL_API', '').replace('PEAL_INLINE', '')
        self.declaration = ' '.join(words.split())
        self.name = re.search(r'(\w+)\(', self.declaration)[1]
        # "Return:" ends what is said, or the first line of a short comment.
        text, _, rest = text_of(comment).partition('Return:')
        self.returns, _, more = rest.partition('\n\n')
        head, _, body = text.partition('\n\n')
        self.body = body + more
        lines = re.split(r'\n(?=@)', head)
        self.summary = lines[0].removeprefix(f'{self.name}() - ').replace('; hot', '')
        self.parameters = [re.fullmatch(r'((?:@\w+(?:, )?)+): (.*)', line, re.S).groups()
                           for line in re.split(r'\n(?=@)|; (?=@)', '\n'.join(lines[1:])) if line]

    def synopsis(self):
        """One line if it fits, else one line a parameter."""
        if len(self.declaration) <= 68:
            return self.declaration
        head, parameters = self.declaration[:-2].split('(', 1)
        return head + '(\n    ' + ',\n    '.join(parameters.split(', ')) + ');'

    def describe(self):
        parts = [f'## {self.name}()'.replace('_', '\\_'), sentence(self.summary)]
        parts += [f'{prose(names)}\n{indent(prose(what))}' for names, what in self.parameters]
        return '\n\n'.join(parts + [prose(self.body.strip())] * bool(self.body.strip()))


def capital(text):
    return text[:1].upper() + text[1:]


def sentence(text):
    text = capital(prose(text.strip()))
    return text + ('' if text.endswith(('.', '?')) else '.')


class Headers:
    def __init__(self, directory):
        self.files = {path.name: path.read_text(encoding='utf-8') for path in sorted(directory.glob('*.h'))}
        self.all = '\n'.join(self.files.values())
        self.functions = {}
        for header, text in self.files.items():
            for found in re.finditer(r'(/\*\*(?:(?!\*/).)*\*/)\n(PEAL_API [^;]*;)', text, re.S):
                function = Function(found[1], found[2], header)
                self.functions[function.name] = function

    def type(self, name):
        """Its declaration, then each member that has a comment."""
        found = re.search(rf'(?m)^{name} \{{\n(.*?)^\}};', self.all, re.S) or die(f'no {name}')
        end = ';' if name.startswith('struct') else ','
        members = re.findall(rf'(?:^|\n)((?:\t/\*(?:(?!\*/).)*\*/\n)?)\t([^/]+?{end})[ \t]*(/\*(?:(?!\*/).)*\*/)?',
                             found[1], re.S)
        lines = [' '.join(member.split()) for _, member, _ in members]
        told = [f'_{member_names(line)}_\n{indent(prose(text_of(before or after)))}'
                for line, (before, _, after) in zip(lines, members) if before or after]
        return literal(f'{name} {{\n\t' + '\n\t'.join(lines) + '\n};') + '\n\n' + '\n\n'.join(told)

    def define(self, name):
        found = re.search(rf'(?m)(^/\*(?:(?!\*/).)*\*/\n)?#define {name}\b[^\n/]*(/\*(?:(?!\*/).)*\*/)?', self.all,
                          re.S) or die(f'no {name}')
        return f'{prose(name)}\n{indent(prose(text_of(found[2] or found[1])))}'

    def note(self, header, word):
        """A paragraph, and a list if one follows."""
        first = text_of(re.search(r'/\*\n.*?\*/', self.files[header], re.S)[0])
        found = re.search(rf'(?ms)^{word}[^:\n]*:[ \n]?(.*?)(?=^\n|\Z)', first) or die(f'no {word} in {header}')
        return capital(prose(found[1].rstrip()))


def member_names(declaration):
    names = re.search(r'\(\*(\w+)\)|((?:\w+(?:\[\w+\])?(?:, )?)+)(?: = \w+)?[;,]$', declaration)
    return (names[1] or names[2]).split('[')[0].replace('_', '\\_')


def fill(line, names, headers, examples):
    """What stands for a line that begins with @."""
    what, *words = line[1:].split(' ')
    if what in ('synopsis', 'describe', 'returns'):
        functions = [headers.functions.get(name) or die(f'no {name}() in the headers') for name in names]
    if what == 'synopsis':
        includes = dict.fromkeys(function.header for function in functions)
        return literal('\n'.join(f'#include <peal/{header}>' for header in includes) + '\n\n' +
                       '\n\n'.join(function.synopsis() for function in functions))
    if what == 'describe':
        return '\n\n'.join(function.describe() for function in functions)
    if what == 'returns':
        told = [f'*{function.name}*()\n{indent(sentence(function.returns))}'
                for function in functions if function.returns]
        rest = [function for function in functions
                if not function.returns and not function.declaration.startswith('void ')]
        others = ['What the others return is said above.'] * bool(told and rest)
        return '\n\n'.join(told + others) or 'Nothing.'
    if what == 'type':
        return headers.type(' '.join(words))
    if what == 'define':
        return '\n\n'.join(headers.define(name) for name in words)
    if what == 'note':
        return headers.note(words[0], ' '.join(words[1:]))
    if what == 'example':
        return literal(re.sub(r'^/\* SPDX.*\n', '', (examples / words[0]).read_text(encoding='utf-8')).strip())
    die(f'what is "{line}"?')


def main():
    page, include, examples = map(pathlib.Path, sys.argv[1:])
    text = page.read_text(encoding='utf-8')
    names = re.search(r'# NAME\n\n(.*?) - ', text, re.S)[1].replace('\n', ' ').split(', ')
    headers = Headers(include / 'peal')
    print(re.sub(r'(?m)^@.*$', lambda found: fill(found[0], names, headers, examples), text), end='')


main()
