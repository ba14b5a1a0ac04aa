#include "render/tcpdump/options.h"

#include <algorithm>

namespace tcpwhy::render::tcpdump {
namespace {

constexpr std::uint8_t end_of_list = 0, no_operation = 1;

enum class Outcome : std::uint8_t {
  fine,
  bad,  // it needs more than the header has
  cut,  // ... than was captured
};

// The body of one option: what follows its length byte.
struct Body {
  Bytes bytes;                // captured from here on
  std::size_t stated = 0;     // size by its own length byte
  std::size_t available = 0;  // up to the end of the option list
  const OptionList& list;
  Bytes whole_option;  // kind and length included, captured from there on

  [[nodiscard]] Outcome check(std::size_t count) const {
    if (count > available) return Outcome::bad;
    return bytes.has(0, count) ? Outcome::fine : Outcome::cut;
  }
};

using BodyWriter = Outcome (*)(Line&, const Body&);

// --- Bodies, one function each ---------------------------------------------------------------------------------

Outcome write_nothing(Line&, const Body&) { return Outcome::fine; }

Outcome write_number16(Line& line, const Body& body) {
  line.add(" {}", body.bytes.be16(0));
  return Outcome::fine;
}

Outcome write_number8(Line& line, const Body& body) {
  line.add(" {}", body.bytes.u8(0));
  return Outcome::fine;
}

Outcome write_number32(Line& line, const Body& body) {
  line.add(" {}", body.bytes.be32(0));
  return Outcome::fine;
}

Outcome write_timestamps(Line& line, const Body& body) {
  line.add(" val {} ecr {}", body.bytes.be32(0), body.bytes.be32(4));
  return Outcome::fine;
}

// RFC 2018 3.
Outcome write_sack(Line& line, const Body& body) {
  constexpr std::size_t block_size = 8;
  if (body.stated % block_size != 0) {
    line.add(" invalid sack");
    return Outcome::fine;
  }
  line.add(" {} ", body.stated / block_size);
  for (std::size_t at = 0; at < body.stated; at += block_size) {
    if (const Outcome outcome = body.check(at + block_size); outcome != Outcome::fine) return outcome;
    line.add("{{{}:{}}}", body.bytes.be32(at) - body.list.sack_base, body.bytes.be32(at + 4) - body.list.sack_base);
  }
  return Outcome::fine;
}

void add_hex(Line& line, Bytes bytes) {
  for (const std::uint8_t byte : bytes.span()) line.add("{:02x}", byte);
}

constexpr std::size_t md5_length = 16;

Outcome write_md5(Line& line, const Body& body) {
  // To check a signature it would need the secret, and before that the whole segment.
  line.add(" {}, can't check - ",
           body.list.segment_is_whole ? "shared secret not supplied with -M" : "snaplen too short");
  add_hex(line, body.bytes.first(md5_length));
  return Outcome::fine;
}

Outcome write_scps(Line& line, const Body& body) {
  line.add(" cap {:02x} id {}", body.bytes.u8(0), body.bytes.u8(1));
  return Outcome::fine;
}

// RFC 5482 3.1: one bit says minutes, the others how many. The RFC has the first one for it, tcpdump takes the last.
Outcome write_user_timeout(Line& line, const Body& body) {
  const unsigned value = body.bytes.be16(0), granularity_s = value & 1U ? 60 : 1;
  line.add(" 0x{:x} {}", value, (value >> 1U) * granularity_s);
  return Outcome::fine;
}

// RFC 5925 2.2.
Outcome write_authentication(Line& line, const Body& body) {
  constexpr std::size_t key_ids = 2;
  if (body.stated < key_ids) {
    line.invalid();
    return Outcome::fine;
  }
  if (!body.bytes.has(0, 1)) return Outcome::cut;
  line.add(" keyid {}", body.bytes.u8(0));
  if (!body.bytes.has(1, 1)) return Outcome::cut;
  line.add(" rnextkeyid {}", body.bytes.u8(1));
  if (body.stated == key_ids) return Outcome::fine;
  line.add(" mac 0x");
  add_hex(line, body.bytes.first(body.stated).from(key_ids));
  return body.check(body.stated);
}

Outcome write_multipath_option(Line& line, const Body& body) {
  return write_multipath(line, body.whole_option.first(body.stated + 2), body.list.flags) ? Outcome::fine
                                                                                          : Outcome::bad;
}

// RFC 7413 2: a cookie has 4 to 16 bytes, an even number of them; none asks for one.
void add_fast_open_cookie(Line& line, Bytes cookie) {
  if (cookie.empty()) return line.add(" cookiereq");
  if (cookie.size() % 2 != 0 || cookie.size() < 4 || cookie.size() > 16) return line.invalid();
  line.add(" cookie ");
  add_hex(line, cookie);
}

Outcome write_fast_open(Line& line, const Body& body) {
  line.add(" ");
  add_fast_open_cookie(line, body.bytes.first(body.stated));
  return Outcome::fine;
}

// RFC 6994 3: the first two bytes say which experiment.
Outcome write_experiment(Line& line, const Body& body) {
  constexpr std::uint16_t fast_open = 0xf989;
  if (body.stated < 2) return Outcome::bad;
  const std::uint16_t experiment = body.bytes.be16(0);
  line.add("-");
  if (experiment == fast_open) {
    line.add("tfo");
    add_fast_open_cookie(line, body.bytes.first(body.stated).from(2));
  } else {
    line.add("{:04x}", experiment);
  }
  return Outcome::fine;
}

// --- Kinds (IANA, "TCP Option Kind Numbers") ---------------------------------------------------------------------

constexpr std::size_t as_stated = SIZE_MAX, unchecked = SIZE_MAX - 1;

struct OptionRow {
  std::uint8_t kind;
  std::string_view name;
  std::size_t body_size;  // that its writer reads; as_stated: by its length byte; unchecked: the writer checks itself
  BodyWriter write;
};

constexpr OptionRow option_rows[] = {
    {end_of_list, "eol", 0, write_nothing},
    {no_operation, "nop", 0, write_nothing},
    {2, "mss", 2, write_number16},
    {3, "wscale", 1, write_number8},
    {4, "sackOK", 0, write_nothing},
    {5, "sack", unchecked, write_sack},
    {6, "echo", 4, write_number32},
    {7, "echoreply", 4, write_number32},
    {8, "TS", 8, write_timestamps},
    {11, "cc", 4, write_number32},
    {12, "ccnew", 4, write_number32},
    {13, "", 4, write_number32},  // CC.ECHO has no name in tcpdump
    {19, "md5", md5_length, write_md5},
    {20, "scps", 2, write_scps},
    {28, "uto", 2, write_user_timeout},
    {29, "tcp-ao", unchecked, write_authentication},
    {30, "mptcp", as_stated, write_multipath_option},
    {34, "tfo", as_stated, write_fast_open},
    {254, "exp", as_stated, write_experiment},
};

const OptionRow* find_row(std::uint8_t kind) {
  const auto* const row = std::ranges::find(option_rows, kind, &OptionRow::kind);
  return row == std::end(option_rows) ? nullptr : row;
}

Outcome write_unknown(Line& line, const Body& body) {
  if (body.stated == 0) return Outcome::fine;
  line.add(" 0x");
  add_hex(line, body.bytes.first(body.stated));
  return body.check(body.stated);
}

// --- The list --------------------------------------------------------------------------------------------------

class OptionWriter {
 public:
  OptionWriter(Line& line, const OptionList& list) : line_(line), list_(list) {}

  bool write() {
    line_.add(", options [");
    while (at_ < list_.length) {
      if (!first_) line_.add(",");
      if (!write_next()) return false;
      first_ = false;
      if (kind_ == end_of_list) break;
    }
    line_.add("]");
    return true;
  }

 private:
  // One option. False: the line ended.
  bool write_next() {
    // Kind and length byte are read before anything else is known of the option.
    if (!list_.bytes.has(at_, 1)) return cut_between_options();
    kind_ = list_.bytes.u8(at_);
    const bool single = kind_ == end_of_list || kind_ == no_operation;
    std::size_t size = 1;
    if (!single) {
      if (!list_.bytes.has(at_ + 1, 1)) return cut_between_options();
      size = list_.bytes.u8(at_ + 1);
      if (size < 2 || size > list_.length - at_) return stop(Outcome::bad);
    }
    const std::size_t head = single ? 1 : 2;
    const Body body{list_.bytes.from(at_ + head), size - head, list_.length - at_ - head, list_, list_.bytes.from(at_)};
    const OptionRow* const row = find_row(kind_);
    const std::size_t used = row == nullptr || row->body_size >= unchecked ? body.stated : row->body_size;
    const Outcome outcome = write_body(row, body);
    if (outcome != Outcome::fine) return stop(outcome);
    at_ += head + used;
    if (head + used != size) line_.add("[len {}]", size);
    return true;
  }

  Outcome write_body(const OptionRow* row, const Body& body) {
    if (row == nullptr) {
      line_.add("unknown-{}", kind_);
      return write_unknown(line_, body);
    }
    line_.add("{}", row->name);
    if (row->body_size != unchecked) {
      const std::size_t needed = row->body_size == as_stated ? body.stated : row->body_size;
      if (const Outcome outcome = body.check(needed); outcome != Outcome::fine) return outcome;
    }
    if (row->write == write_multipath_option)
      protocol_ = "mptcp";  // tcpdump says so of all that is cut behind such an option
    return row->write(line_, body);
  }

  bool cut_between_options() {
    line_.cut(protocol_);
    return false;
  }

  // tcpdump closes its bracket after another option only.
  bool stop(Outcome outcome) {
    if (outcome == Outcome::bad) line_.add("[bad opt]{}", first_ ? "" : "]");
    if (outcome == Outcome::cut) {
      line_.cut(protocol_);
      if (!first_) line_.add(">");
    }
    return false;
  }

  Line& line_;
  const OptionList& list_;
  std::size_t at_ = 0;
  std::uint8_t kind_ = no_operation;
  std::string_view protocol_ = "tcp";
  bool first_ = true;
};

}  // namespace

bool write_options(Line& line, const OptionList& list) { return OptionWriter(line, list).write(); }

}  // namespace tcpwhy::render::tcpdump
