/**
 * Known answers for DH-HMAC-CHAP, calculated by Python's hmac, hashlib and zlib, and OpenSSL's named groups;
 * none of them by the code under test. The first of RESPONSES is also what the reference has.
 *
 *   secret: bytes 0, 1, 2 …     host key: of 32 bytes, transformed with the hash of the row
 *   controller key: 48 bytes from 100 on, as it is     C1 = 40h, 41h …   C2 = 80h, 81h …
 *   SEQNUM 1 for the host, 7 for the controller; T_ID 1234h; shared secret: (7 i + 1) mod 256
 */
export const HOST = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000001'
export const SUBSYSTEM = 'nqn.2016-06.io.spdk:cnode1'

/** SHA-256 of the prime of each group, by bits. */
export const PRIMES: readonly (readonly [bits: number, sha256: string])[] = [
  [2048, '9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966'],
  [3072, '0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17'],
  [4096, '4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e'],
  [6144, '227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7'],
  [8192, '770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833'],
]

/** Secrets as people write them, and what they are transformed to for HOST. */
export const TRANSFORMED: readonly (readonly [transform: number, bytes: number, text: string, key: string])[] = [
  [0, 32,
    'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:',
    '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'],
  [0, 48,
    'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcS'
      + 'EgBQ==:',
    '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425'
      + '262728292a2b2c2d2e2f'],
  [0, 64,
    'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMD'
      + 'EyMzQ1Njc4OTo7PD0+P4zODhA=:',
    '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425'
      + '262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f'],
  [1, 32,
    'DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:',
    '6c7b81cb2a746f74454b1d7140f3153b51ca99459fcef7a86a17f27695b87cd8'],
  [1, 48,
    'DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcS'
      + 'EgBQ==:',
    'e121c5fb90939dfad5a4e132d54f904e12d59888417e8c21bad4255421a59e9a'],
  [1, 64,
    'DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMD'
      + 'EyMzQ1Njc4OTo7PD0+P4zODhA=:',
    '22818cb68f817249ef80550893aba5d1eeb671b2811683324aa9475decca8e5f'],
  [2, 32,
    'DHHC-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:',
    'c482300b17213cd9b9cfaecb3be7e824561882f715cff290f089bcf62772ecc7b1601a415724'
      + 'a7f4e0999b78079a558e'],
  [2, 48,
    'DHHC-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcS'
      + 'EgBQ==:',
    'c916f39d7bd438ac94ce98f12f22202c6bc43b1b1bf7f081a36fd76d11b4b1730726ff75f325'
      + '76b5749cfa06d1a7b4f5'],
  [2, 64,
    'DHHC-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMD'
      + 'EyMzQ1Njc4OTo7PD0+P4zODhA=:',
    '4a3ecd979fb2cdae0e09c30e47356572881d2a1a4180bd5b9981b4aae0a55db9d05b7211e833'
      + 'ccc23654edd695058cfb'],
  [3, 32,
    'DHHC-1:03:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:',
    '5f233f233263efc7342e477170607b1a36dbbce203872202311382fb13479a60af958176f510'
      + '1a338a53d05c8c75a398df3a99111fc9fcd23fdd838df30d33d1'],
  [3, 48,
    'DHHC-1:03:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcS'
      + 'EgBQ==:',
    'b42c048c932bf0b5a2877190c83cb7361da45664a77297515d39936363bd69bb3b52dcef88c9'
      + '15f08571ff819b65f6123a04e001e3df774526a7f3cb0699c254'],
  [3, 64,
    'DHHC-1:03:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMD'
      + 'EyMzQ1Njc4OTo7PD0+P4zODhA=:',
    '5da79d3888c5ddac507b097840c4c8af8c7099e3f32fbf216209d24103f54bcf22284e7034bb'
      + '579a8997475f50aec0bff3ccad184563779e81f48c405071b970'],
]

/** By hash identifier and bits of the group, 0 = NULL. */
export const RESPONSES: readonly (readonly [hash: number, bits: number, host: string, controller: string])[] = [
  [1, 0,
    'aa22488ae3926f64e1ab8487b65c85644098b37131399a8b32ba4304e3eed85c',
    '9f29c8148f28ea5ffa0d0689840c1baad318f7ae9fe1f6f15559bfac418078ba'],
  [1, 2048,
    'cea1b1481e4d89f75de39e1e5a4175ce35e60c0b1a2e3a628266fe7d3cfd4886',
    '863b28be53aad50b0f613c5a7ac63042c71d3020133edc9e3d8415a17a120020'],
  [1, 8192,
    'e24e65c812f4eac50e18cfe65bc64a53f0557efbbeaae124ce7ce64ffbf14cbd',
    '39f0cb996e9c9e98ca499e0400023f2d574b00a7bff328c671125328ef9d5e14'],
  [2, 0,
    'a97a7c4ab64696a09b37615a39ebf25a25bc202025dd328ada5a52493123089632defa40419e'
      + 'cd67d792001fb88f1273',
    '03640de56c4ed19b0409aee4a3674450874763d234f491d874046a872c63840d387ff4efc20f'
      + 'bed827e5a27523e849e0'],
  [2, 2048,
    '20bccc614306a47483b0e306bb83b81a3aecc4c8604cbf9a05e96a287cbb6565b3bbb739496d'
      + '506a5b2ca94453d7dee4',
    'fb77a48e626b3ffd1e8303bb1cebf7c9d8cd505cd9a5b7cb717d2af4096230ceb674fb60546f'
      + 'f860c1129d893dd97b9b'],
  [2, 8192,
    'bb1f86697b3aedb53e2fde2d1695645b25d67be19d3ecc7d654e0b8abd7c030760e289866a34'
      + '7a46f246c61e133a1ba3',
    'ed9776e96bf0004299144989eb65f18d2241e68e8e57f4aa6136d13f3aebbb5830230dfd3603'
      + '8021b68aca66c1fd3444'],
  [3, 0,
    'f50b00e936e1d388398fd29230cd6a9a2c4f6ba5037634917b9a485fa598168b0cb0c7ce1457'
      + '4263543f2a6e90e7756b58f87e63f38b05dd7cc9c325d52b8d36',
    'e843523a6467e04ecad6f8b2ee7309029d692a70c0a8de8910890a8a162ba13315e5911e6954'
      + '0c6225ec71ccfb8805dabe9bdfb67d4343d4e59b99305ba245d9'],
  [3, 2048,
    '09d3194d0354c6baa1a6e12b6f9b1071a774fe249a845a848b0df4dcc8c71dad4926869513d6'
      + '318be38c147c1911e1f3a2f658ae30d819153b3dcbd34eccf0ae',
    '3a1b9aa72a44f8c965b3fc1ae3acebff5692474ca78c99e78ebb3d555212cf56229991f965c7'
      + '24e5b2ef30be8e798345004a20155863ce2509e760beeee3129a'],
  [3, 8192,
    '430fa5d13cc4238024b19dd40437e8548cf189b75cc4ed22cf913efd77aa0ad864872c9e4e2d'
      + '274733ebe7ff0112d2db936665db9f1511258e5b08fb988105f7',
    '89e443ccd54a1d7928b347c29860ca657f06a6722ec63c9e45f9e273236a4687b28dfb4c7469'
      + 'a20f4dc4c2bae02e2f77083ac4d6ba8af60a685db3e7e484f443'],
]

/** The controller's key, as people write it. */
export const CONTROLLER_SECRET = 'DHHC-1:00:ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaHiImKi4yNjo+QkZKTvGwQfg==:'
