// The radiotap header (www.radiotap.org) in the tcpdump view: its fields are printed with -e and without.
#include <array>
#include <optional>

#include "render/tcpdump/link/link.h"

namespace tcpwhy::render::tcpdump {
namespace {

// Bits of a "present" word; 29 to 31 mean the same in each.
enum Field : unsigned {
  tsft,
  flags,
  rate,
  channel,
  fhss,
  signal_dbm,
  noise_dbm,
  lock_quality,
  attenuation,
  attenuation_db,
  power_dbm,
  antenna,
  signal_db,
  noise_db,
  receive_flags,
  extended_channel = 18,
  mcs,
  ampdu_status,
  vht,
  default_namespace = 29,
  vendor_namespace,
  more_words
};

constexpr std::uint8_t check_sequence_flag = 0x10, data_pad_flag = 0x20;

// Reads fields one after the other, each aligned to its size from the header's start.
class Fields {
 public:
  explicit Fields(Bytes header) : header_(header) {}

  void skip(std::size_t count) { at_ += std::min(count, header_.size() - at_); }
  template <std::size_t Size>
  std::optional<std::uint64_t> next() {
    const std::size_t at = (at_ + Size - 1) / Size * Size;
    if (!header_.has(at, Size)) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = Size; i-- > 0;) value = value << 8U | header_.u8(at + i);
    at_ = at + Size;
    return value;
  }
  [[nodiscard]] bool align_and_have(std::size_t size) {
    const std::size_t at = (at_ + size - 1) / size * size;
    return header_.has(at, size);
  }
  [[nodiscard]] bool has(std::size_t count) const { return header_.has(at_, count); }

 private:
  Bytes header_;
  std::size_t at_ = 0;
};

void add_channel(Line& line, std::uint64_t frequency, std::uint64_t kind, std::uint32_t present) {
  constexpr std::uint64_t turbo = 0x10, cck = 0x20, ofdm = 0x40, ghz_2 = 0x80, ghz_5 = 0x100, dynamic = 0x400,
                          gfsk = 0x800, half = 0x4000, quarter = 0x8000, ht_20 = 0x10000, ht_40_up = 0x20000,
                          ht_40_down = 0x40000;
  const auto is = [kind](std::uint64_t bits) { return (kind & bits) == bits; };
  const auto width = [&] { return is(half) ? "/10Mhz" : is(quarter) ? "/5Mhz" : ""; };
  line.add("{} MHz", frequency);
  if (present & 1U << mcs) {
    line.add(" 11n");
  } else {
    if (is(ghz_2 | gfsk)) line.add(" FHSS");
    if (is(ghz_5 | ofdm)) line.add(" 11a{}", width());
    if (is(ghz_2 | ofdm) || is(ghz_2 | dynamic))
      line.add(" 11g{}", width());
    else if (is(ghz_2 | cck))
      line.add(" 11b");
    if (is(turbo)) line.add(" Turbo");
  }
  if (is(ht_20))
    line.add(" ht/20");
  else if (is(ht_40_down))
    line.add(" ht/40-");
  else if (is(ht_40_up))
    line.add(" ht/40+");
  line.add(" ");
}

// 802.11 tables 19-27 to 19-41: data bits a symbol, as multiples of the slowest's: 26 of 20 MHz, 54 of 40. Up to 31 all of one to four
// streams have the same modulation, from 33 on they mix them; 32 sends the slowest twice over 40 MHz.
constexpr std::array<std::uint8_t, 77> multiples = {
    1,  2,  3,  4,  6,  8,  9,  10, 2,  4,  6,  8,  12, 16, 18, 20, 3,  6,  9,  12, 18, 24, 27, 30, 4,  8,
    12, 16, 24, 32, 36, 40, 0,  6,  8,  10, 9,  12, 15, 8,  10, 10, 12, 14, 14, 16, 12, 15, 15, 18, 21, 21,
    24, 10, 12, 14, 12, 14, 16, 18, 16, 18, 20, 20, 22, 15, 18, 21, 18, 21, 24, 27, 24, 27, 30, 30, 33};

// Mb/s; a symbol takes 4 µs, or 3.6 with the short guard interval.
std::optional<double> rate_of_mcs(unsigned index, bool wide, bool short_interval) {
  constexpr unsigned duplicate = 32, bits_of_duplicate = 24, bits_20 = 26, bits_40 = 54;
  if (index >= multiples.size() || (index == duplicate && !wide)) return std::nullopt;
  const unsigned bits = index == duplicate ? bits_of_duplicate : multiples[index] * (wide ? bits_40 : bits_20);
  return bits / (short_interval ? 3.6 : 4.0);
}

void add_mcs(Line& line, unsigned known, unsigned kind, unsigned index) {
  constexpr std::array<std::string_view, 4> bandwidths = {"20 MHz", "40 MHz", "20 MHz (L)", "20 MHz (U)"};
  constexpr unsigned bandwidth_known = 1, index_known = 2, interval_known = 4, format_known = 8, correction_known = 16,
                     streams_known = 32;
  const bool short_interval = kind & 4U;
  if (known & index_known) {
    const bool has_rate = known & (bandwidth_known | interval_known);
    const auto mbps = has_rate ? rate_of_mcs(index, (kind & 3U) == 1, short_interval) : std::nullopt;
    if (mbps) line.add("{:.1f} Mb/s ", *mbps);
    line.add("MCS {} ", index);
  }
  if (known & bandwidth_known) line.add("{} ", bandwidths[kind & 3U]);
  if (known & interval_known) line.add("{} GI ", short_interval ? "short" : "long");
  if (known & format_known) line.add("{} ", kind & 8U ? "greenfield" : "mixed");
  if (known & correction_known) line.add("{} FEC ", kind & 16U ? "LDPC" : "BCC");
  if (known & streams_known) line.add("RX-STBC{} ", kind >> 5U & 3U);
}

constexpr std::array<std::string_view, 32> vht_bandwidths = {
    "20 MHz",        "40 MHz",        "20 MHz (L)",    "20 MHz (U)",    "80 MHz",        "80 MHz (L)",
    "80 MHz (U)",    "80 MHz (LL)",   "80 MHz (LU)",   "80 MHz (UL)",   "80 MHz (UU)",   "160 MHz",
    "160 MHz (L)",   "160 MHz (U)",   "160 MHz (LL)",  "160 MHz (LU)",  "160 MHz (UL)",  "160 MHz (UU)",
    "160 MHz (LLL)", "160 MHz (LLU)", "160 MHz (LUL)", "160 MHz (UUU)", "160 MHz (ULL)", "160 MHz (ULU)",
    "160 MHz (UUL)", "160 MHz (UUU)", "unknown (26)",  "unknown (27)",  "unknown (28)",  "unknown (29)",
    "unknown (30)",  "unknown (31)"};

// False: a field that does not fit, which ends the header; what has been read of it is not printed.
bool add_vht(Line& line, Fields& fields) {
  const auto known = fields.next<2>();
  const auto kind = known ? fields.next<1>() : std::nullopt, bandwidth = kind ? fields.next<1>() : std::nullopt;
  if (!bandwidth) return false;
  std::array<unsigned, 4> users{};
  for (unsigned& user : users) {
    const auto value = fields.next<1>();
    if (!value) return false;
    user = static_cast<unsigned>(*value);
  }
  const auto coding = fields.next<1>();
  if (!coding || !fields.next<1>() || !fields.next<2>()) return false;
  for (std::size_t i = 0; i < users.size(); ++i) {
    if ((users[i] & 0xfU) == 0) continue;
    line.add("User {} MCS {} {} FEC ", i, users[i] >> 4U, *coding >> i & 1U ? "LDPC" : "BCC");
  }
  constexpr unsigned interval_known = 0x04, bandwidth_known = 0x40;
  if (*known & bandwidth_known) line.add("{} ", vht_bandwidths[*bandwidth & 0x1fU]);
  if (*known & interval_known) line.add("{} GI ", *kind & 4U ? "short" : "long");
  return true;
}

// The fields that are one number.
template <std::size_t Size>
bool add_number(Line& line, Fields& fields, fmt::format_string<std::uint64_t> pattern) {
  const auto value = fields.next<Size>();
  if (value) line.add(pattern, std::uint64_t{*value});
  return value.has_value();
}
bool add_signed(Line& line, Fields& fields, bool negated, std::string_view unit) {
  const auto value = fields.next<1>();
  if (!value) return false;
  const int number = static_cast<std::int8_t>(*value);
  line.add("{}{} ", negated ? -number : number, unit);
  return true;
}

void add_flags(Line& line, std::uint64_t value) {
  constexpr NamedNumber names[] = {
      {0x01, "cfp "}, {0x02, "short preamble "}, {0x04, "wep "}, {0x08, "fragmented "}, {0x40, "bad-fcs "}};
  for (const auto& [bit, name] : names)
    if (value & bit) line.add("{}", name);
}

void add_rate(Line& line, std::uint64_t value) {
  constexpr std::uint64_t first_mcs = 0x80, last_mcs = 0x8f;
  if (value >= first_mcs && value <= last_mcs)
    line.add("MCS {} ", value & 0x7fU);
  else
    line.add("{}.{} Mb/s ", value / 2, value % 2 * 5);
}

enum class Outcome : std::uint8_t { done, cut, unknown };

Outcome add_field(Line& line, Fields& fields, unsigned field, std::uint32_t present, std::uint8_t& frame_flags) {
  const auto done = [](bool whole) { return whole ? Outcome::done : Outcome::cut; };
  switch (field) {
    case tsft: return done(add_number<8>(line, fields, "{}us tsft "));
    case flags: {
      const auto value = fields.next<1>();
      if (!value) return Outcome::cut;
      frame_flags = static_cast<std::uint8_t>(*value);
      add_flags(line, *value);
      return Outcome::done;
    }
    case rate: {
      const auto value = fields.next<1>();
      if (value) add_rate(line, *value);
      return done(value.has_value());
    }
    case channel: {
      const auto frequency = fields.next<2>();
      const auto kind = frequency ? fields.next<2>() : std::nullopt;
      if (kind && !(present & 1U << extended_channel)) add_channel(line, *frequency, *kind, present);
      return done(kind.has_value());
    }
    case fhss: {
      const auto set = fields.next<1>();
      const auto pattern = set ? fields.next<1>() : std::nullopt;
      if (pattern) line.add("fhset {} fhpat {} ", *set, *pattern);
      return done(pattern.has_value());
    }
    case signal_dbm: return done(add_signed(line, fields, false, "dBm signal"));
    case noise_dbm: return done(add_signed(line, fields, false, "dBm noise"));
    case lock_quality: return done(add_number<2>(line, fields, "{} sq "));
    case attenuation: {
      const auto value = fields.next<2>();
      if (value) line.add("{} tx power ", -static_cast<int>(static_cast<std::int16_t>(*value)));
      return done(value.has_value());
    }
    case attenuation_db: return done(add_signed(line, fields, true, "dB tx attenuation"));
    case power_dbm: return done(add_signed(line, fields, false, "dBm tx power"));
    case antenna: return done(add_number<1>(line, fields, "antenna {} "));
    case signal_db: return done(add_number<1>(line, fields, "{}dB signal "));
    case noise_db: return done(add_number<1>(line, fields, "{}dB noise "));
    case receive_flags: return done(fields.next<2>().has_value());
    case extended_channel: {
      const auto kind = fields.next<4>();
      const auto frequency = kind ? fields.next<2>() : std::nullopt;
      if (!frequency || !fields.next<1>() || !fields.next<1>()) return Outcome::cut;
      add_channel(line, *frequency, *kind, present);
      return Outcome::done;
    }
    case mcs: {
      const auto known = fields.next<1>();
      const auto kind = known ? fields.next<1>() : std::nullopt, index = kind ? fields.next<1>() : std::nullopt;
      if (!index) return Outcome::cut;
      add_mcs(line, static_cast<unsigned>(*known), static_cast<unsigned>(*kind), static_cast<unsigned>(*index));
      return Outcome::done;
    }
    case ampdu_status: {
      const bool whole = fields.next<4>() && fields.next<2>() && fields.next<1>() && fields.next<1>();
      return done(whole);
    }
    case vht: return done(add_vht(line, fields));
    default: line.add("[bit {}] ", field); return Outcome::unknown;
  }
}

// The fields of one word of the default namespace, whose first bit has the number `first`. False: nothing more can be read.
bool add_fields(Line& line, Fields& fields, std::uint32_t present, unsigned first, std::uint8_t& frame_flags) {
  for (unsigned bit = 0; bit < default_namespace; ++bit) {
    if (!(present & 1U << bit)) continue;
    const Outcome outcome = add_field(line, fields, first + bit, present, frame_flags);
    if (outcome == Outcome::done) continue;
    if (outcome == Outcome::cut) line.cut("802.11_radio");
    return false;
  }
  return true;
}

// What the words say, field by field; returns the flags of the frame.
std::uint8_t add_header(Line& line, Bytes header, std::size_t words) {
  constexpr std::size_t fixed = 4, word_length = 4;
  constexpr std::uint32_t switch_bits = 1U << default_namespace | 1U << vendor_namespace;
  Fields fields(header);
  fields.skip(fixed + words * word_length);
  std::uint8_t frame_flags = 0;
  unsigned first = 0;
  std::optional<std::size_t> of_vendor;  // that many bytes are not ours to read
  for (std::size_t i = 0; i < words; ++i) {
    const std::uint32_t present = header.le32(fixed + i * word_length);
    if (of_vendor) {
      if (!fields.has(*of_vendor)) break;
      fields.skip(*of_vendor);
      of_vendor = 0;
    } else if (!add_fields(line, fields, present, first, frame_flags)) {
      break;
    }
    switch (present & switch_bits) {
      case 0: first += 32; break;
      case 1U << default_namespace:
        first = 0;
        of_vendor.reset();
        break;
      case 1U << vendor_namespace: {
        first = 0;
        of_vendor = 0;
        const bool oui =
            fields.align_and_have(2) && fields.next<1>() && fields.next<1>() && fields.next<1>() && fields.next<1>();
        const auto length = oui ? fields.next<2>() : std::nullopt;
        if (length)
          of_vendor = *length;
        else
          line.cut("802.11_radio");
        break;
      }
      default: break;
    }
  }
  return frame_flags;
}

}  // namespace

void write_radiotap(Line& line, Payload frame) {
  constexpr std::size_t fixed = 8, word_length = 4, check_sequence = 4;
  const Bytes b = frame.bytes;
  if (!b.has(0, fixed) || b.le16(2) < fixed || !b.has(0, b.le16(2))) return line.cut("802.11_radio");
  const std::size_t length = b.le16(2);
  std::size_t words = 1;
  while ((words + 1) * word_length <= length && b.le32(words * word_length) >> more_words) ++words;
  if ((words + 1) * word_length > length) return line.cut("802.11_radio");
  const std::uint8_t frame_flags = add_header(line, b.first(length), words);
  Payload inside = frame.from(length);
  if (frame_flags & check_sequence_flag) {
    if (inside.length < check_sequence) return line.cut("802.11");
    inside.length -= check_sequence;
    inside.bytes = inside.bytes.first(inside.length);
  }
  write_wireless(line, inside, frame_flags & data_pad_flag);
}

}  // namespace tcpwhy::render::tcpdump
