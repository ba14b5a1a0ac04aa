// Test support: the installed tcpdump as the reference of the tcpdump view.
#pragma once

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/testing/command_output.h"
#include "base/testing/temporary_folder.h"
#include "render/tcpdump/tcpdump.h"
#include "wire/packet.h"

namespace tcpwhy::render::testing {

using base::testing::output_of;
using base::testing::TemporaryFolder;

struct SamplePacket {
  wire::LinkType link_type = wire::LinkType::ethernet;
  std::vector<std::uint8_t> bytes;
  std::size_t original_length = 0;
  base::WallTime at;
};

inline TcpdumpPacket as_printed(const SamplePacket& packet) {
  return {packet.link_type, packet.bytes, packet.original_length, packet.at};
}

// What both sides are asked for.
struct Style {
  const char* arguments;  // of tcpdump
  TcpdumpOptions options;
};

inline TcpdumpOptions options_of(bool absolute, bool link_header, TcpdumpTime time, bool nanoseconds = false) {
  TcpdumpOptions options;
  options.absolute_sequence_numbers = absolute;
  options.link_header = link_header;
  options.time = time;
  options.nanoseconds = nanoseconds;
  options.interface_name = [](std::uint32_t index) -> std::string {
    char name[IF_NAMESIZE] = {};
    return if_indextoname(index, name) != nullptr ? name : "";
  };
  return options;
}

inline std::vector<Style> all_styles() {
  using enum TcpdumpTime;
  return {{"", options_of(false, false, time_of_day)},
          {"-S", options_of(true, false, time_of_day)},
          {"-e", options_of(false, true, time_of_day)},
          {"-t", options_of(false, false, none)},
          {"-tt", options_of(false, false, epoch)},
          {"-ttt", options_of(false, false, since_previous)},
          {"-tttt", options_of(false, false, date_and_time)},
          {"-ttttt", options_of(false, false, since_first)},
          {"-S -e -tt", options_of(true, true, epoch)},
          {"--nano -e", options_of(false, true, time_of_day, true)},
          {"--nano -ttt -S", options_of(true, false, since_previous, true)}};
}

inline bool tcpdump_is_installed() { return !output_of("tcpdump --version 2>&1 | grep -a '^tcpdump version'").empty(); }

// tcpdump's output, one entry a packet, what belongs to a packet joined by newlines; `-#` numbers them for us.
inline std::vector<std::string> packets_of(std::string_view output) {
  std::vector<std::string> packets;
  while (!output.empty()) {
    const std::size_t end = std::min(output.find('\n'), output.size());
    const std::string_view line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    const std::string number = fmt::format("{:5}  ", packets.size() + 1);
    if (line.starts_with(number)) {
      packets.emplace_back(line.substr(number.size()));
    } else if (!packets.empty()) {
      packets.back().append("\n").append(line);
    }
  }
  return packets;
}

// The lines of a capture file, compressed or not.
inline std::vector<std::string> tcpdump_lines(const std::filesystem::path& file, const std::string& arguments) {
  const std::string unpack = file.extension() == ".gz" ? "gzip -dc" : "cat";
  return packets_of(
      output_of(fmt::format("{} '{}' | tcpdump -n -# {} -r - 2>/dev/null", unpack, file.string(), arguments)));
}

// A line up to TCP's `length N`; what tcpdump says of the application protocol is not part of the comparison.
inline std::string without_application(const std::string& line) {
  const std::size_t flags = line.find(": Flags [");  // not those of a link header
  if (flags == std::string::npos) return line;
  constexpr std::string_view word = ", length ";
  const std::size_t length = line.find(word, flags);
  if (length == std::string::npos) return line;
  return line.substr(0, line.find_first_not_of("0123456789", length + word.size()));
}

inline bool tcpdump_says_tcp(const std::string& line) {
  return line.find(": Flags [") != std::string::npos || line.find("[|tcp]") != std::string::npos ||
         line.find(" [bad hdr length ") != std::string::npos;
}

// `packets`, all of one link type, as a nanosecond pcap file in this machine's byte order.
inline void write_pcap(const std::filesystem::path& file, const std::vector<SamplePacket>& packets) {
  const auto put = [](std::string& out, auto value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  std::string out;
  put(out, std::uint32_t{0xa1b23c4d});
  put(out, std::uint16_t{2}), put(out, std::uint16_t{4});
  put(out, std::uint32_t{0}), put(out, std::uint32_t{0}), put(out, std::uint32_t{262144});
  put(out, static_cast<std::uint32_t>(packets.empty() ? wire::LinkType::ethernet : packets.front().link_type));
  for (const auto& packet : packets) {
    const std::int64_t ns = base::to_ns(packet.at);
    put(out, static_cast<std::uint32_t>(ns / 1'000'000'000)), put(out, static_cast<std::uint32_t>(ns % 1'000'000'000));
    put(out, static_cast<std::uint32_t>(packet.bytes.size()));
    put(out, static_cast<std::uint32_t>(packet.original_length));
    out.append(packet.bytes.begin(), packet.bytes.end());
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "wb"), &std::fclose);
  std::fwrite(out.data(), 1, out.size(), stream.get());
}

struct Comparison {
  std::size_t compared = 0, different = 0;
  std::string report;  // the first differences, side by side

  void add(const std::string& where, const SamplePacket& packet, const TcpdumpLine& ours, const std::string& theirs) {
    if (!ours.is_tcp && !tcpdump_says_tcp(theirs)) return;
    ++compared;
    const std::string expected = without_application(theirs);
    if (ours.text == expected) return;
    constexpr std::size_t most_reported = 8;
    if (++different > most_reported) return;
    report += fmt::format("{}\n  tcpdump {}\n  ours    {}\n  bytes   ", where, expected, ours.text);
    for (std::size_t i = 0; i < packet.bytes.size() && i < 200; ++i) report += fmt::format("{:02x}", packet.bytes[i]);
    report += fmt::format(" captured {} original {}\n", packet.bytes.size(), packet.original_length);
  }
};

// Every packet of `packets` against tcpdump's lines.
inline void compare(Comparison& comparison, const std::string& where, const std::vector<SamplePacket>& packets,
                    const std::vector<std::string>& theirs, const Style& style) {
  TcpdumpPrinter printer(style.options);
  for (std::size_t i = 0; i < packets.size() && i < theirs.size(); ++i) {
    comparison.add(fmt::format("{} {} packet {}", where, style.arguments, i + 1), packets[i],
                   printer.print(as_printed(packets[i])), theirs[i]);
  }
  if (packets.size() != theirs.size()) {
    ++comparison.different;
    comparison.report += fmt::format("{}: {} packets here, {} there\n", where, packets.size(), theirs.size());
  }
}

}  // namespace tcpwhy::render::testing
