// Runs a fuzz target without libFuzzer:  fuzz_NAME_replay CORPUS... [MUTATIONS [SEED]]
//
// CORPUS is a folder, each file of which is run as it is and then, in turns, changed at random until MUTATIONS inputs
// have been run; or one file, which is run once (to see a crash again). A folder that is not there has no files. The same
// arguments give the same inputs. When an input ends the program, it is left in the current folder as crash-NAME-SEED-N.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t largest_mutated_input = 64 * 1024;

// What the handler of a crash needs; it may not allocate.
struct Current {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  char file_name[128] = {};
} current;

void save_current_input() {
  const int fd = open(current.file_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return;
  [[maybe_unused]] const auto written = write(fd, current.data, current.size);
  close(fd);
  constexpr std::string_view note = "the input that did this is in the current folder: crash-*\n";
  [[maybe_unused]] const auto noted = write(STDERR_FILENO, note.data(), note.size());
}

void save_and_die(int signal_number) {
  save_current_input();
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void run_one(const Bytes& input, const std::string& crash_name) {
  // A block of exactly this size, so that a sanitizer sees the first byte read beyond it.
  const std::unique_ptr<std::uint8_t[]> block(new std::uint8_t[input.size()]);
  std::copy(input.begin(), input.end(), block.get());
  current.data = block.get();
  current.size = input.size();
  std::snprintf(current.file_name, sizeof current.file_name, "%s", crash_name.c_str());
  LLVMFuzzerTestOneInput(block.get(), input.size());
}

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

// Changes inputs the way parsers hate: lengths at their limits, cuts, repetitions, pieces of another input.
class Mutator {
 public:
  Mutator(std::uint64_t seed, const std::vector<Bytes>& corpus) : random_(seed), corpus_(corpus) {}

  Bytes mutate(Bytes input) {
    for (std::size_t changes = 1 + below(5); changes > 0; --changes) change(input);
    if (input.size() > largest_mutated_input) input.resize(largest_mutated_input);
    return input;
  }

 private:
  // 0 .. limit-1. Not std::uniform_int_distribution: libraries differ in what it yields.
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : static_cast<std::size_t>(random_() % limit); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }

  void change(Bytes& input) {
    const std::size_t at = below(input.size() + 1);
    const std::size_t run = std::min(input.size() - at, 1 + below(32));
    const auto here = input.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end_of_run = here + static_cast<std::ptrdiff_t>(run);
    switch (below(8)) {
      case 0: flip_bit(input); break;
      case 1:
        if (at < input.size()) input[at] = byte();
        break;
      case 2: overwrite_number(input, at); break;
      case 3: input.erase(here, end_of_run); break;
      case 4: input.insert(here, 1 + below(16), byte()); break;
      case 5: input.resize(at); break;
      case 6: repeat(input, at, run); break;
      case 7: splice(input, at); break;
      default: break;
    }
  }

  void flip_bit(Bytes& input) {
    if (input.empty()) return;
    const std::size_t at = below(input.size());
    input[at] = static_cast<std::uint8_t>(input[at] ^ (1U << below(8)));
  }

  void overwrite_number(Bytes& input, std::size_t at) {
    constexpr std::array<std::uint32_t, 12> values = {0,      1,      4,          8,          0x7F,       0xFF,
                                                      0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFC, 0x80000000};
    const std::uint32_t value = values[below(values.size())];
    const std::size_t width = std::size_t{1} << below(3);
    const bool big_endian = below(2) == 0;
    for (std::size_t i = 0; i < width && at + i < input.size(); ++i) {
      const std::size_t shift = 8 * (big_endian ? width - 1 - i : i);
      input[at + i] = static_cast<std::uint8_t>(value >> shift);
    }
  }

  void repeat(Bytes& input, std::size_t at, std::size_t run) {
    const Bytes piece(input.begin() + static_cast<std::ptrdiff_t>(at),
                      input.begin() + static_cast<std::ptrdiff_t>(at + run));
    for (std::size_t times = 1 + below(8); times > 0; --times) {
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
    }
  }

  void splice(Bytes& input, std::size_t at) {
    const Bytes& other = corpus_[below(corpus_.size())];
    const auto from = static_cast<std::ptrdiff_t>(below(other.size() + 1));
    input.resize(at);
    input.insert(input.end(), other.begin() + from, other.end());
  }

  std::mt19937_64 random_;
  const std::vector<Bytes>& corpus_;
};

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  if (!std::filesystem::is_directory(folder)) return files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS... [MUTATIONS [SEED]]\n", argv[0]);
    return 2;
  }
  std::vector<std::string> places;
  std::vector<std::uint64_t> numbers;
  for (int i = 1; i < argc; ++i) {
    if (const auto value = number(argv[i]))
      numbers.push_back(*value);
    else
      places.emplace_back(argv[i]);
  }
  const std::uint64_t mutations = !numbers.empty() ? numbers[0] : 4000;
  const std::uint64_t seed = numbers.size() > 1 ? numbers[1] : 1;
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  for (const int signal_number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal_number, save_and_die);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(save_current_input);

  if (places.size() == 1 && std::filesystem::is_regular_file(places[0])) {
    run_one(read_file(places[0]), "crash-" + name);
    return 0;
  }
  std::vector<Bytes> corpus = {Bytes{}};
  for (const auto& place : places)
    for (const auto& file : files_of(place)) corpus.push_back(read_file(file));
  for (const auto& input : corpus) run_one(input, "crash-" + name);
  Mutator mutator(seed, corpus);
  for (std::uint64_t i = 0; i < mutations; ++i) {
    const Bytes input = mutator.mutate(corpus[i % corpus.size()]);
    run_one(input, "crash-" + name + "-" + std::to_string(seed) + "-" + std::to_string(i));
  }
  std::printf("%zu inputs and %llu mutations of them\n", corpus.size(), static_cast<unsigned long long>(mutations));
  return 0;
}
