// Reads capture files one record at a time, in memory that does not grow with the file.
//
// Formats, told apart by their first bytes, never by name:
// - classic pcap (pcap-savefile(5)): either byte order, microsecond and nanosecond magic, the "modified" format of
//   A. Kuznetsov's patch (24-byte record headers), versions 2.0 to 2.4 and 543.0 with their swapped lengths, the FCS
//   bits of the link type field;
// - pcapng (draft-ietf-opsawg-pcapng): either byte order, any number of sections and interfaces, time stamp
//   resolutions of 10^-n and 2^-n seconds with offset, Enhanced, Simple and (obsolete) Packet Blocks, systemd Journal
//   Export Blocks; every other block is skipped;
// - snoop (RFC 1761), version 2, of Ethernet, token ring and FDDI;
// - any of them compressed with gzip, zstd, xz, bzip2 or LZ4 (capfile/input/unpacked_source.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "capfile/input/input.h"
#include "recording/recording.h"

namespace tcpwhy::capfile {

// A packet or block that claims more is taken for damage, as libpcap and Wireshark do (Wireshark's limit for most link
// types is 256 KiB, libpcap's for a pcapng block 16 MiB). Blocks that are skipped anyway may have any length.
inline constexpr std::uint32_t max_block_bytes = 16U << 20;
// Descriptions of interfaces that one pcapng section may hold.
inline constexpr std::size_t max_interfaces = 65536;
// Times outside these bounds are brought to the nearer one: 2^62 ns is in the year 2116, later than classic pcap can
// say. So the difference of any two times of a file fits base::Duration.
inline constexpr base::WallTime earliest_time{base::Duration(0)};
inline constexpr base::WallTime latest_time{base::Duration((std::int64_t{1} << 62) - 1)};

enum class Format : std::uint8_t { pcap, pcapng, snoop };

// A pcapng Section Header Block, or the one header of a pcap or snoop file. Everything after it, up to the next one,
// belongs to it; the interfaces are numbered anew.
struct SectionRecord {
  Format format = Format::pcap;
  std::string hardware, os, application;  // shb_hardware, shb_os, shb_userappl
  std::vector<std::string> comments;      // opt_comment, in file order
};

struct InterfaceInfo {
  recording::Interface interface;  // its host is empty
  std::vector<std::string> comments;
  std::uint8_t fcs_length = 0;  // bytes of frame check sequence at the end of each packet, where the file says so
};

struct PacketRecord {
  std::uint32_t interface = 0;        // index into CaptureReader::interfaces()
  wire::LinkType link_type{};         // of that interface
  base::WallTime at;                  // of a Simple Packet Block, which has no time: that of the packet before it
  std::uint32_t original_length = 0;  // on the wire
  std::span<const std::uint8_t> bytes;
  std::span<const std::string_view> comments;  // opt_comment, in file order; usually none
  std::optional<std::uint64_t> packet_id;      // epb_packetid
};

// Memory of the reader's own that others may share; see CaptureReader::memory().
using SharedBytes = std::shared_ptr<std::uint8_t[]>;

// For threads other than the one that calls next(): they read the next pieces of the input into memory, where next()
// finds them. May outlive the reader.
class ReadAhead {
 public:
  virtual ~ReadAhead() = default;
  // For any number of threads: begin() says which piece is the caller's to load(); none if enough are there or on their
  // way, or the end has been seen.
  virtual std::optional<std::uint64_t> begin() = 0;
  virtual void load(std::uint64_t piece) = 0;
  // For who calls next(): how many pieces it has come to.
  [[nodiscard]] virtual std::uint64_t taken() const = 0;
};

// A systemd Journal Export Block: one entry in Journal Export Format (systemd.io/JOURNAL_EXPORT_FORMATS), padding
// removed.
struct JournalRecord {
  std::string_view entry;
};

using Record = std::variant<SectionRecord, PacketRecord, JournalRecord>;

class CaptureReader {
 public:
  // "-" is standard input. Every error is ErrorKind::unreadable with a line that names the input and what is wrong:
  // missing, empty, not a capture (and what it looks like instead), cut inside its header.
  static base::Result<CaptureReader> open(const std::string& path);
  // The same of a file that is open (of a regular one, from its start() on, whoever else reads it), or over bytes that outlive
  // the reader; `name` is for messages.
  static base::Result<CaptureReader> open(const Input& input);
  static base::Result<CaptureReader> from_memory(std::span<const std::uint8_t> bytes, std::string name);

  // The next record, or nothing at the end of the file. The first record is a SectionRecord. Spans and views inside
  // it are valid until the next call; reading a packet allocates nothing, a piece of the input (a quarter of a
  // megabyte) next to nothing. An input that is cut or damaged gives every record before the damage, then an error with
  // the offset (in the uncompressed data) and what is wrong there; further calls repeat it.
  base::Result<std::optional<Record>> next();

  // The next packet, or null at the end; other records are passed over. The same as next() in everything else, and much
  // quicker for who wants nothing but packets. Valid until the next call.
  base::Result<const PacketRecord*> next_packet();

  // Where the bytes of the packet given last lie: who shares it keeps them valid.
  [[nodiscard]] const SharedBytes& memory() const;

  // Bytes that are in memory already: a record of no more comes without reading.
  [[nodiscard]] std::size_t in_memory() const;
  // Null where it can't be: pipes, compressed files, memory.
  [[nodiscard]] const std::shared_ptr<ReadAhead>& read_ahead() const;

  // The interfaces that the current section has described so far.
  [[nodiscard]] std::span<const InterfaceInfo> interfaces() const;
  [[nodiscard]] const std::string& name() const;  // the path, or "standard input"; not escaped
  [[nodiscard]] std::uint64_t offset() const;     // uncompressed bytes read so far
  // How far the input itself has been read, in bytes of the file, compressed or not, and how long it is (nothing for a
  // pipe): for progress. Reading goes on in large pieces.
  [[nodiscard]] std::uint64_t input_position() const;
  [[nodiscard]] std::optional<std::uint64_t> input_size() const;

  CaptureReader(CaptureReader&&) noexcept;
  CaptureReader& operator=(CaptureReader&&) noexcept;
  ~CaptureReader();

  class Impl;

 private:
  explicit CaptureReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tcpwhy::capfile
