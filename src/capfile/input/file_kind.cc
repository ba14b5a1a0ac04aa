#include "capfile/input/file_kind.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"

namespace tcpwhy::capfile {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view convert = "convert it first: editcap -F pcapng INPUT OUTPUT.pcapng";
constexpr std::string_view unpack = "unpack it first; gzip, zstd, xz, bzip2 and LZ4 are read as they are";

struct Magic {
  std::string_view bytes;
  FileKind kind;
};

constexpr Magic magics[] = {
    {"snoop"sv, {"the cut beginning of a Solaris snoop capture (RFC 1761)", {}}},
    {"GMBU"sv, {"a Microsoft Network Monitor capture", convert}},
    {"RTSS"sv, {"a Microsoft Network Monitor 1 capture", convert}},
    {"iptrace "sv, {"an AIX iptrace capture", convert}},
    {"XCP\0"sv, {"a NetXRay capture", convert}},
    {"TRSNIFF data"sv, {"a Sniffer capture", convert}},
    {"btsnoop\0"sv, {"a Bluetooth HCI snoop log", convert}},
    {"\x1c\x00\x01\xac"sv, {"an Ixia hardware capture", convert}},
    {"\xac\x01\x00\x1c"sv, {"an Ixia hardware capture", convert}},
    {"\xab\x01\x00\x1c"sv, {"an Ixia software capture", convert}},
    {"\x02\x21\x4c\x18"sv, {"LZ4 data of the legacy kind", unpack}},
    {"\x1f\x9d"sv, {"data of compress(1)", unpack}},
    {"LZIP"sv, {"lzip data", unpack}},
    {"PK\x03\x04"sv, {"a ZIP archive", unpack}},
    {"7z\xbc\xaf\x27\x1c"sv, {"a 7-Zip archive", unpack}},
    {"\x7f"
     "ELF"sv,
     {"an ELF program or library", {}}},
    {"\xd4\xc3\xb2"sv, {"the cut beginning of a pcap file", {}}},
    {"SQLite format 3\0"sv, {"an SQLite database", {}}},
};

// UTF-8 without control characters but the ends of lines; its last character may be cut.
bool is_text(std::string_view bytes) {
  std::string text(bytes);
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == '\t'; });
  constexpr int longest_tail = 3;
  for (int i = 0; i < longest_tail && !text.empty() && (text.back() & 0x80) != 0; ++i) text.pop_back();
  return !text.empty() && base::escape_controls(text) == text;
}

}  // namespace

FileKind recognise(std::span<const std::uint8_t> start) {
  const std::string_view bytes(reinterpret_cast<const char*>(start.data()), start.size());
  for (const Magic& magic : magics)
    if (bytes.starts_with(magic.bytes)) return magic.kind;
  if (bytes.find("ustar") == 257) return {"a tar archive", unpack};
  if (std::ranges::all_of(start, [](std::uint8_t byte) { return byte == 0; })) return {"a row of zero bytes", {}};
  if (is_text(bytes))
    return {"text", "a packet listing cannot be read back; record with tcpdump -w FILE or tcpwhy lab -w FILE"};
  return {"data of another kind", {}};
}

}  // namespace tcpwhy::capfile
