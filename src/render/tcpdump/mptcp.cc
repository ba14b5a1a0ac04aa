// The multipath TCP option (RFC 8684 3, and RFC 6824's version 0) in the tcpdump view.
#include <algorithm>
#include <optional>

#include "render/tcpdump/options.h"

namespace tcpwhy::render::tcpdump {
namespace {

// One subtype, whole: kind, length, subtype and flags, ... False: its length is not one it can have here.
using SubtypeWriter = bool (*)(Line&, Bytes option, wire::TcpFlags flags);

void add_hex(Line& line, Bytes bytes) {
  for (const std::uint8_t byte : bytes.span()) line.add("{:02x}", byte);
}

bool syn_and_ack(wire::TcpFlags flags) { return flags.syn() && flags.ack(); }
bool ack_without_syn(wire::TcpFlags flags) { return flags.ack() && !flags.syn(); }

// 3.1: with the sender's key in SYN and SYN-ACK, with both keys in the third ACK.
bool write_capable(Line& line, Bytes option, wire::TcpFlags flags) {
  constexpr std::uint8_t checksum_required = 0x80, newest_version = 1;
  const std::size_t size = option.size();
  const bool in_handshake = flags.syn() && (size == 4 || size == 12);
  const bool after_it = ack_without_syn(flags) && (size == 20 || size == 22);
  if (!in_handshake && !after_it) return false;
  const unsigned version = option.u8(2) & 0xfU;
  if (version > newest_version) {
    line.add(" Unknown Version ({})", version);
    return true;
  }
  line.add(" v{}{}", version, option.u8(3) & checksum_required ? " csum" : "");
  if (size == 12) line.add(" {{0x{:x}}}", option.be64(4));
  if (after_it) line.add(" {{0x{:x},0x{:x}}}", option.be64(4), option.be64(12));
  return true;
}

// 3.2.
bool write_join(Line& line, Bytes option, wire::TcpFlags flags) {
  constexpr std::uint8_t backup = 0x01;
  const std::size_t size = option.size();
  const bool first = size == 12 && flags.syn(), second = size == 16 && syn_and_ack(flags),
             third = size == 24 && flags.ack();
  if (!first && !second && !third) return false;
  if (!third) line.add("{} id {}", option.u8(2) & backup ? " backup" : "", option.u8(3));
  if (first) line.add(" token 0x{:x} nonce 0x{:x}", option.be32(4), option.be32(8));
  if (second) line.add(" hmac 0x{:x} nonce 0x{:x}", option.be64(4), option.be32(12));
  if (third) {
    line.add(" hmac 0x");
    add_hex(line, option.from(4));
  }
  return true;
}

// Numbers one after the other, each there or not.
class NumberReader {
 public:
  explicit NumberReader(Bytes rest) : rest_(rest) {}

  std::optional<std::uint64_t> take(std::size_t count) {
    if (!rest_.has(0, count)) return std::nullopt;
    const std::uint64_t value = count == 8 ? rest_.be64(0) : count == 4 ? rest_.be32(0) : rest_.be16(0);
    rest_ = rest_.from(count);
    return value;
  }
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] bool has(std::size_t count) const { return rest_.has(0, count); }

 private:
  Bytes rest_;
};

// 3.3.1: the flags say which fields there are and how long; a checksum follows where there is room for it.
bool write_mapping(Line& line, NumberReader& rest, bool long_sequence) {
  line.add(" seq ");
  const auto sequence = rest.take(long_sequence ? 8 : 4);
  if (!sequence) return false;
  line.add("{}", *sequence);
  const auto subflow_sequence = rest.take(4);
  if (!subflow_sequence) return false;
  line.add(" subseq {}", *subflow_sequence);
  const auto length = rest.take(2);
  if (!length) return false;
  line.add(" len {}", *length);
  if (rest.has(2)) line.add(" csum 0x{:x}", *rest.take(2));
  return true;
}

bool write_data_sequence(Line& line, Bytes option, wire::TcpFlags flags) {
  constexpr unsigned ack_present = 0x01, long_ack = 0x02, mapping_present = 0x04, long_sequence = 0x08, data_fin = 0x10;
  if (option.size() < 4 || flags.syn()) return false;
  const unsigned present = option.u8(3);
  NumberReader rest(option.from(4));
  if (present & data_fin) line.add(" fin");
  if (present & ack_present) {
    line.add(" ack ");
    const auto ack = rest.take(present & long_ack ? 8 : 4);
    if (!ack) return false;
    line.add("{}", *ack);
  }
  if ((present & mapping_present) && !write_mapping(line, rest, present & long_sequence)) return false;
  return rest.done();
}

// 3.4.1, and RFC 6824 3.4.1. What a length means: an address, of either family, then maybe a port, then maybe a hash.
struct AddressLayout {
  std::size_t size;
  bool v6, port, hash;
};
constexpr AddressLayout address_layouts[] = {
    {8, false, false, false}, {10, false, true, false}, {16, false, false, true}, {18, false, true, true},
    {20, true, false, false}, {22, true, true, false},  {28, true, false, true},  {30, true, true, true},
};

std::string_view address_version(unsigned low_nibble) {
  switch (low_nibble) {
    case 0: return "v1";
    case 1: return "v1-echo";
    case 4: return "v0-ip4";
    case 6: return "v0-ip6";
    default: return "[bad version/echo]";
  }
}

bool write_add_address(Line& line, Bytes option, wire::TcpFlags) {
  const auto* const layout = std::ranges::find(address_layouts, option.size(), &AddressLayout::size);
  if (layout == std::end(address_layouts)) return false;
  line.add(" {} id {} ", address_version(option.u8(2) & 0xfU), option.u8(3));
  std::size_t at = 4;
  line.add("{}", layout->v6 ? wire::IpAddress::v6(option.fixed<16>(at)) : wire::IpAddress::v4(option.fixed<4>(at)));
  at += layout->v6 ? 16 : 4;
  if (layout->port) {
    line.add(":{}", option.be16(at));
    at += 2;
  }
  if (layout->hash) line.add(" hmac 0x{:x}", option.be64(at));
  return true;
}

// 3.4.2.
bool write_remove_address(Line& line, Bytes option, wire::TcpFlags) {
  if (option.size() < 4) return false;
  line.add(" id");
  for (const std::uint8_t id : option.from(3).span()) line.add(" {}", id);
  return true;
}

// 3.3.8.
bool write_priority(Line& line, Bytes option, wire::TcpFlags) {
  constexpr std::uint8_t backup = 0x01;
  if (option.size() != 3 && option.size() != 4) return false;
  line.add(" {}", option.u8(2) & backup ? "backup" : "non-backup");
  if (option.size() == 4) line.add(" id {}", option.u8(3));
  return true;
}

// 3.7.
bool write_fail(Line& line, Bytes option, wire::TcpFlags) {
  if (option.size() != 12) return false;
  line.add(" seq {}", option.be64(4));
  return true;
}

// 3.5.
bool write_fast_close(Line& line, Bytes option, wire::TcpFlags) {
  if (option.size() != 12) return false;
  line.add(" key 0x{:x}", option.be64(4));
  return true;
}

struct SubtypeRow {
  std::string_view name;
  SubtypeWriter write;
};

// 8.2, by their number.
constexpr SubtypeRow subtypes[] = {
    {"capable", write_capable},
    {"join", write_join},
    {"dss", write_data_sequence},
    {"add-addr", write_add_address},
    {"rem-addr", write_remove_address},
    {"prio", write_priority},
    {"fail", write_fail},
    {"fast-close", write_fast_close},
};

}  // namespace

bool write_multipath(Line& line, Bytes option, wire::TcpFlags flags) {
  constexpr std::size_t shortest = 3;
  if (option.size() < shortest) return false;
  const unsigned subtype = option.u8(2) >> 4U;
  line.add(" {}", option.size());
  if (subtype >= std::size(subtypes)) {
    line.add(" unknown");
    return true;
  }
  line.add(" {}", subtypes[subtype].name);
  return subtypes[subtype].write(line, option, flags);
}

}  // namespace tcpwhy::render::tcpdump
