/** control-socket: where the daemon and the commands look for one another. */
import { expect, test } from 'vitest'
import { defaultSocket } from '../../../src/config/control-socket.ts'

test.each([
  ['the service', { RUNTIME_DIRECTORY: '/run/weft:/run/other', XDG_RUNTIME_DIR: '/run/user/0' }, true, '/run/weft/weft.sock'],
  ['root', { XDG_RUNTIME_DIR: '/run/user/0' }, true, '/run/weft/weft.sock'],
  ['a user', { XDG_RUNTIME_DIR: '/run/user/7' }, false, '/run/user/7/weft.sock'],
  ['a user with a folder that is not absolute', { XDG_RUNTIME_DIR: 'here' }, false, null],
  ['a user without a folder', { RUNTIME_DIRECTORY: '' }, false, null],
])('of %s', (_who, environment, root, path) => {
  expect(defaultSocket(environment, root, 'linux')).toBe(path)
})

test('on Windows it is a named pipe', () => {
  expect(defaultSocket({}, false, 'win32')).toBe('\\\\.\\pipe\\weft')
})
