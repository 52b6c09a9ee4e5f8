#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the raw declarations of the Rust crate and the installed C headers together.

usage: rust-abi.py SYS.RS HEADERS LIBRARY C-FILE RUST-FILE

Translates each prototype of SYS.RS into C, for a compiler that has read the headers to compare, and
each struct into one that must be laid out like the header's, member by member. Each constant is printed
by C-FILE and by RUST-FILE, and so is each size and offset, once by either compiler. All that the library
exports and that the headers define is either there or in LEFT_OUT.
"""
import pathlib
import re
import subprocess
import sys

LEFT_OUT = {
    # Called by the inline functions of the headers alone.
    'peal_commit_cold', 'peal_next_cold', 'peal_recv_cold', 'peal_release_cold', 'peal_reserve_cold',
    'peal_stage_cold', 'peal_wake_consumer', 'peal_wake_producer',
    # Of the compiler.
    'PEAL_API',
}
TYPES = {'c_int': 'int', 'c_uint': 'unsigned int', 'c_char': 'char', 'c_void': 'void', 'usize': 'size_t',
         'i32': 'int32_t', 'i64': 'int64_t', 'u16': 'uint16_t', 'u32': 'uint32_t', 'u64': 'uint64_t',
         'bool': 'bool'}


def c_type(rust):
    """A type in C, as it stands in front of a name."""
    for prefix, suffix in ('*mut ', '*'), ('*const ', 'const *'):
        if rust.startswith(prefix):
            return f'{c_type(rust[len(prefix):])} {suffix}'
    if rust == 'Option<peal_pre_exec>':
        return 'peal_pre_exec'
    return TYPES.get(rust) or f'struct {rust}'


def c_member(name, rust):
    array = re.fullmatch(r'\[(\w+); (\w+)\]', rust)
    if array:
        return f'{c_type(array[1])} {name}[{array[2]}]'
    return f'{c_type(rust)} {name}'


def pairs(text):
    """[(name, type)] of "a: T, b: U", with the names that C has."""
    return [(name.removesuffix('_'), rust) for name, rust in re.findall(r'(\w+): ([^,]+?)(?:,|$)', text.strip())]


def functions(source):
    found = re.findall(r'^    pub fn (\w+)\((.*)\)(?: -> (.*))?;$', source, re.M)
    return [(name, pairs(arguments), rust or None) for name, arguments, rust in found]


def structs(source):
    found = re.findall(r'^#\[repr\(C\)\]\n(?:#\[[^\n]*\]\n)?pub struct (\w+) \{\n(.*?)^\}', source, re.M | re.S)
    return [(name, pairs(body.replace('pub ', '').replace('\n', ''))) for name, body in found]


def constants(source):
    return re.findall(r'^pub const (\w+): ([^=]+) = ', source, re.M)


def c_file(source):
    yield ('#include <peal/peal.h>\n#include <stddef.h>\n#include <stdio.h>\n'
           'typedef int (*peal_pre_exec)(void *);')
    for name, arguments, rust in functions(source):
        words = ', '.join(c_type(argument) for _, argument in arguments) or 'void'
        yield f'{c_type(rust) if rust else "void"} {name}({words});'
    for name, members in structs(source):
        yield f'struct rust_{name} {{ {" ".join(c_member(*member) + ";" for member in members)} }};'
        for member, _ in members:
            yield (f'_Static_assert(__builtin_types_compatible_p(__typeof__(((struct {name} *)0)->{member}), '
                   f'__typeof__(((struct rust_{name} *)0)->{member})), "{name}.{member}");')
    yield 'int main(void)\n{'
    for name, rust in constants(source):
        if rust == '&str':
            yield f'\tprintf("{name} %s\\n", {name});'
        else:
            yield f'\tprintf("{name} %lld\\n", (long long)({name}));'
    for name, members in structs(source):
        yield f'\tprintf("{name} %zu\\n", sizeof(struct {name}));'
        for member, _ in members:
            yield f'\tprintf("{name}.{member} %zu\\n", offsetof(struct {name}, {member}));'
    yield '\treturn 0;\n}'


def rust_file(source):
    yield 'use peal::sys::*;\nuse std::mem::{size_of, MaybeUninit};\nfn main() {'
    for name, rust in constants(source):
        yield f'    println!("{name} {{}}", {name}{"" if rust == "&str" else " as i64"});'
    for name, members in structs(source):
        yield f'    println!("{name} {{}}", size_of::<{name}>());'
        yield f'    let it = MaybeUninit::<{name}>::uninit();\n    let it = it.as_ptr();'
        for member, _ in members:
            field = next(rust for rust in (member, member + '_') if f'pub {rust}:' in source)
            yield (f'    println!("{name}.{member} {{}}", '
                   f'unsafe {{ std::ptr::addr_of!((*it).{field}) }} as usize - it as usize);')
    yield '}'


def exported(library):
    lines = subprocess.run(['nm', '-D', '--defined-only', library], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    return set(re.findall(r' T (peal_\w+)', lines))


def defined(headers):
    """Constants and structs of the public headers."""
    text = ''.join(path.read_text() for path in pathlib.Path(headers).glob('*.h'))
    names = set(re.findall(r'^#define (PEAL_(?!\w*_H\b)\w+)', text, re.M))
    names |= set(re.findall(r'^\t(PEAL_\w+)(?: =|,)', text, re.M))
    return names | set(re.findall(r'^struct (peal_\w+)', text, re.M))


def main():
    path, headers, library, c_path, rust_path = sys.argv[1:]
    source = pathlib.Path(path).read_text()
    opaque = set(re.search(r'^opaque! \{ (.*) \}', source, re.M)[1].split())
    declared = {name for name, *_ in functions(source) + structs(source) + constants(source)}
    # What no pattern here understands would go unchecked.
    for keyword in 'fn', 'struct', 'const':
        written = set(re.findall(rf'^ *pub {keyword} (\w+)', source, re.M))
        assert written <= declared, f'not understood: {written - declared}'
    wanted = exported(library) | defined(headers)
    assert len(wanted) > 100, f'found but {len(wanted)} names'
    missing = wanted - declared - opaque - LEFT_OUT
    assert not missing, f'neither declared nor left out: {sorted(missing)}'
    stale = LEFT_OUT - wanted
    assert not stale, f'left out, but not there: {sorted(stale)}'
    pathlib.Path(c_path).write_text('\n'.join(c_file(source)) + '\n')
    pathlib.Path(rust_path).write_text('\n'.join(rust_file(source)) + '\n')


main()
