/*
 * The bytes of NVMe/TCP that a host needs: types, offsets and little-endian access. Used by every
 * file here, and by nothing in src/: a load generator that shared the target's tables could not
 * show that they are wrong.             NVMe/TCP Transport 1.0, PDU structure
 *
 *   ┌ CH 8 B ┬ PSH hlen - 8 ┬ HDGST 0|4 ┬ PAD up to pdo ┬ DATA ┬ DDGST 0|4 ┐
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H
#include <stdint.h>
#include <string.h>

/* PDU types, and the bytes of their headers without digest. */
enum { PDU_ICREQ = 0, PDU_ICRESP = 1, PDU_H2C_TERM = 2, PDU_C2H_TERM = 3, PDU_CAPSULE_CMD = 4,
       PDU_CAPSULE_RESP = 5, PDU_H2C_DATA = 6, PDU_C2H_DATA = 7, PDU_R2T = 9 };
enum { IC_BYTES = 128, CMD_BYTES = 72, RSP_BYTES = 24, DATA_BYTES = 24, DIGEST_BYTES = 4,
       TERM_BYTES_MAX = 152 };

/* Common header, and its flags. */
enum { CH_TYPE = 0, CH_FLAGS = 1, CH_HLEN = 2, CH_PDO = 3, CH_PLEN = 4 };
enum { FLAG_HDGST = 1, FLAG_DDGST = 2, FLAG_LAST = 4, FLAG_SUCCESS = 8 };

/* ICReq and ICResp. */
enum { IC_PFV = 8, IC_ALIGN = 10, IC_DIGESTS = 11, IC_LIMIT = 12 };
/* R2T, H2CData and C2HData. */
enum { DATA_CID = 8, DATA_TTAG = 10, DATA_OFFSET = 12, DATA_LENGTH = 16 };
/* Termination request. */
enum { TERM_FES = 8, TERM_FEI = 10 };

/* Submission queue entry; in a capsule it begins at byte 8. */
enum { SQE_BYTES = 64, SQE_AT = 8, SQE_OPCODE = 0, SQE_FLAGS = 1, SQE_CID = 2, SQE_NSID = 4,
       SQE_FCTYPE = 4, SQE_SGL_LENGTH = 32, SQE_SGL_TYPE = 39, SQE_CDW10 = 40, SQE_CDW11 = 44,
       SQE_CDW12 = 48 };
enum { PSDT_SGL = 0x40, SGL_IN_CAPSULE = 0x01, SGL_TRANSPORT = 0x5a };
/* Completion queue entry; in a response capsule it begins at byte 8. */
enum { CQE_BYTES = 16, CQE_AT = 8, CQE_DW0 = 0, CQE_CID = 12, CQE_STATUS = 14 };

enum { OPC_WRITE = 0x01, OPC_READ = 0x02, OPC_IDENTIFY = 0x06, OPC_SET_FEATURES = 0x09,
       OPC_KEEP_ALIVE = 0x18, OPC_FABRICS = 0x7f };
enum { FCTYPE_PROPERTY_SET = 0, FCTYPE_CONNECT = 1, FCTYPE_PROPERTY_GET = 4 };
enum { PROP_CAP = 0x00, PROP_CC = 0x14, PROP_CSTS = 0x1c };
enum { CONNECT_BYTES = 1024, IDENTIFY_BYTES = 4096 };

/* Little-endian access at any alignment; compiles to one instruction where the machine agrees. */
static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static inline uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
static inline uint64_t get64(const uint8_t *at) {
  return (uint64_t)get32(at) | (uint64_t)get32(at + 4) << 32;
}
static inline void put16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)value;
  at[1] = (uint8_t)(value >> 8);
}
static inline void put32(uint8_t *at, uint32_t value) {
  put16(at, value & 0xffff);
  put16(at + 2, value >> 16);
}
static inline void put64(uint8_t *at, uint64_t value) {
  put32(at, (uint32_t)value);
  put32(at + 4, (uint32_t)(value >> 32));
}
/* Writes a common header. */
static inline void put_header(uint8_t *at, uint32_t type, uint32_t flags, uint32_t hlen,
                              uint32_t pdo, uint32_t plen) {
  at[CH_TYPE] = (uint8_t)type;
  at[CH_FLAGS] = (uint8_t)flags;
  at[CH_HLEN] = (uint8_t)hlen;
  at[CH_PDO] = (uint8_t)pdo;
  put32(at + CH_PLEN, plen);
}
#endif
