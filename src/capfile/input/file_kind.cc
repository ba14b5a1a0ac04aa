#include "capfile/input/file_kind.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"

namespace tcpwhy::capfile {
namespace {

using namespace std::string_view_literals;

constexpr base::Text convert = {"convert it first: editcap -F pcapng INPUT OUTPUT.pcapng",
                                "请先转换：editcap -F pcapng INPUT OUTPUT.pcapng"};
constexpr base::Text unpack = {"unpack it first; gzip, zstd, xz, bzip2 and LZ4 are read as they are",
                               "请先解压；gzip、zstd、xz、bzip2 和 LZ4 可直接读取"};

struct Magic {
  std::string_view bytes;
  FileKind kind;
};

constexpr Magic magics[] = {
    {"snoop"sv,
     {{"the cut beginning of a Solaris snoop capture (RFC 1761)", "Solaris snoop 抓包（RFC 1761）残缺的开头"}, {}}},
    {"GMBU"sv, {{"a Microsoft Network Monitor capture", "Microsoft Network Monitor 抓包"}, convert}},
    {"RTSS"sv, {{"a Microsoft Network Monitor 1 capture", "Microsoft Network Monitor 1 抓包"}, convert}},
    {"iptrace "sv, {{"an AIX iptrace capture", "AIX iptrace 抓包"}, convert}},
    {"XCP\0"sv, {{"a NetXRay capture", "NetXRay 抓包"}, convert}},
    {"TRSNIFF data"sv, {{"a Sniffer capture", "Sniffer 抓包"}, convert}},
    {"btsnoop\0"sv, {{"a Bluetooth HCI snoop log", "蓝牙 HCI snoop 日志"}, convert}},
    {"\x1c\x00\x01\xac"sv, {{"an Ixia hardware capture", "Ixia 硬件抓包"}, convert}},
    {"\xac\x01\x00\x1c"sv, {{"an Ixia hardware capture", "Ixia 硬件抓包"}, convert}},
    {"\xab\x01\x00\x1c"sv, {{"an Ixia software capture", "Ixia 软件抓包"}, convert}},
    {"\x02\x21\x4c\x18"sv, {{"LZ4 data of the legacy kind", "旧式 LZ4 数据"}, unpack}},
    {"\x1f\x9d"sv, {{"data of compress(1)", "compress(1) 的数据"}, unpack}},
    {"LZIP"sv, {{"lzip data", "lzip 数据"}, unpack}},
    {"PK\x03\x04"sv, {{"a ZIP archive", "ZIP 归档"}, unpack}},
    {"7z\xbc\xaf\x27\x1c"sv, {{"a 7-Zip archive", "7-Zip 归档"}, unpack}},
    {"\x7f"
     "ELF"sv,
     {{"an ELF program or library", "ELF 程序或库"}, {}}},
    {"\xd4\xc3\xb2"sv, {{"the cut beginning of a pcap file", "pcap 文件残缺的开头"}, {}}},
    {"SQLite format 3\0"sv, {{"an SQLite database", "SQLite 数据库"}, {}}},
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
  if (bytes.find("ustar") == 257) return {{"a tar archive", "tar 归档"}, unpack};
  if (std::ranges::all_of(start, [](std::uint8_t byte) { return byte == 0; }))
    return {{"a row of zero bytes", "一串零字节"}, {}};
  if (is_text(bytes))
    return {{"text", "文本"},
            {"a packet listing cannot be read back; record with tcpdump -w FILE or tcpwhy lab -w FILE",
             "报文清单无法读回；请用 tcpdump -w FILE 或 tcpwhy lab -w FILE 记录"}};
  return {{"data of another kind", "其他类型的数据"}, {}};
}

}  // namespace tcpwhy::capfile
