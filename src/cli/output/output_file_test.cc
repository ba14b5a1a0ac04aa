// Files that a command writes: whose they are, where they are, and what is never written over.
#include "cli/output/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cli/testing/program_fixture.h"

namespace tcpwhy::cli {
namespace {

namespace fs = std::filesystem;
using testing::slurp;

constexpr uid_t nobody = 65534;

class Folder : public ::testing::TestWithParam<OutputFile::Temporary> {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "tcpwhy-output-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string at(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] std::string made(const std::string& name, const std::string& text) const {
    std::ofstream(at(name)) << text;
    return at(name);
  }
  [[nodiscard]] std::size_t names() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  // Writes "new" there. The error's message, or "".
  [[nodiscard]] std::string written(const std::string& path, bool overwrite = false) const {
    auto file = OutputFile::open(path, overwrite, GetParam());
    if (!file) return file.error().message.en;
    file->out().write("new");
    const auto done = file->finish();
    return done ? "" : done.error().message.en;
  }

  fs::path folder_;
};

INSTANTIATE_TEST_SUITE_P(Temporaries, Folder,
                         ::testing::Values(OutputFile::Temporary::nameless, OutputFile::Temporary::named));

TEST_P(Folder, a_new_file_is_the_callers_alone) {
  const mode_t before = umask(0);
  EXPECT_EQ(written(at("x")), "");
  umask(before);
  EXPECT_EQ(slurp(at("x")), "new");
  EXPECT_EQ(fs::status(at("x")).permissions(), fs::perms(0600));
  EXPECT_EQ(names(), 1U);
}

TEST_P(Folder, nothing_has_its_name_before_it_is_whole_and_nothing_is_left_of_what_was_given_up) {
  {
    auto file = OutputFile::open(at("x"), false, GetParam());
    ASSERT_TRUE(file) << file.error().message.en;
    file->out().write("half");
    EXPECT_FALSE(fs::exists(at("x")));
  }
  EXPECT_EQ(names(), 0U);
}

TEST_P(Folder, what_appears_early_grows) {
  auto file = OutputFile::open(at("x"), false, GetParam());
  ASSERT_TRUE(file) << file.error().message.en;
  ASSERT_TRUE(file->appear());
  EXPECT_EQ(slurp(at("x")), "");
  file->out().write("one");
  EXPECT_EQ(slurp(at("x")), "one");
  file->out().write("two");
  EXPECT_TRUE(file->finish());
  EXPECT_EQ(slurp(at("x")), "onetwo");
}

TEST_P(Folder, a_file_that_is_there_is_replaced_only_with_the_users_word) {
  const std::string path = made("x", "old");
  fs::create_hard_link(path, at("other name"));
  EXPECT_EQ(written(path), path + " is there already");
  EXPECT_EQ(slurp(path), "old");
  EXPECT_EQ(written(path, true), "");
  EXPECT_EQ(slurp(path), "new");
  EXPECT_EQ(slurp(at("other name")), "old") << "what else bears the old file's content keeps it";
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0600));
  EXPECT_EQ(names(), 2U);
}

TEST_P(Folder, what_was_there_stays_until_the_new_file_is_whole) {
  const std::string path = made("x", "old");
  {
    auto file = OutputFile::open(path, true, GetParam());
    ASSERT_TRUE(file) << file.error().message.en;
    file->out().write("half");
    EXPECT_EQ(slurp(path), "old");
  }
  EXPECT_EQ(slurp(path), "old");
  EXPECT_EQ(names(), 1U);
}

TEST_P(Folder, a_symbolic_link_of_somebody_else_leads_nowhere) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make a link of somebody else";
  const std::string target = made("target", "old");
  for (const std::string& to : {target, at("not there yet")}) {
    fs::remove(at("link"));
    fs::create_symlink(to, at("link"));
    ASSERT_EQ(lchown(at("link").c_str(), nobody, nobody), 0);
    for (const bool overwrite : {false, true})
      EXPECT_EQ(written(at("link"), overwrite), "cannot write " + at("link") + ": a symbolic link of uid 65534");
  }
  EXPECT_EQ(slurp(target), "old");
  EXPECT_FALSE(fs::exists(at("not there yet")));
}

TEST_P(Folder, a_symbolic_link_of_ones_own_is_followed) {
  fs::create_directory(at("sub"));
  fs::create_symlink("sub/target", at("one"));
  fs::create_symlink(at("one"), at("two"));
  EXPECT_EQ(written(at("two")), "");
  EXPECT_EQ(slurp(at("sub/target")), "new");
  EXPECT_TRUE(fs::is_symlink(at("two")));
  EXPECT_EQ(written(at("two")), at("two") + " is there already");
  fs::create_symlink("round", at("round"));
  EXPECT_EQ(written(at("round")), "cannot write " + at("round") + ": Too many levels of symbolic links");
}

TEST_P(Folder, a_fifo_is_written_to_if_it_is_ones_own) {
  ASSERT_EQ(mkfifo(at("fifo").c_str(), 0666), 0);
  std::string read;
  std::thread reader([&] { read = slurp(at("fifo")); });
  EXPECT_EQ(written(at("fifo")), "");
  reader.join();
  EXPECT_EQ(read, "new");
  if (geteuid() != 0) return;
  ASSERT_EQ(chown(at("fifo").c_str(), nobody, nobody), 0);
  EXPECT_EQ(written(at("fifo")), "cannot write " + at("fifo") + ": a FIFO of uid 65534");
}

TEST_P(Folder, devices_and_descriptors_are_written_to_as_they_are) {
  EXPECT_EQ(written("/dev/null"), "");
  EXPECT_EQ(written("/dev/full"), "writing /dev/full: No space left on device");
  const base::UniqueFd fd(open(at("x").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
  ASSERT_EQ(write(fd.get(), "old ", 4), 4);
  for (const std::string folder : {"/dev/fd/", "/proc/self/fd/"})
    EXPECT_EQ(written(folder + std::to_string(fd.get())), "") << "behind what is there, not over it";
  EXPECT_EQ(slurp(at("x")), "old newnew");
  EXPECT_EQ(written("/dev/fd/9999"), "cannot write /dev/fd/9999: No such file or directory");
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const base::UniqueFd out(ends[0]), in(ends[1]);
  EXPECT_EQ(written("/dev/fd/" + std::to_string(in.get())), "");
  std::array<char, 8> got{};
  EXPECT_EQ(read(out.get(), got.data(), got.size()), 3);
}

TEST_P(Folder, a_place_that_cannot_be_written_says_so_when_it_is_opened) {
  const std::string file = made("file", "");
  for (const auto& [path, why] : {std::pair<std::string, std::string>{at("no/such"), "No such file or directory"},
                                  {file + "/below", "Not a directory"},
                                  {folder_, "Is a directory"},
                                  {at("sub/"), "No such file or directory"},
                                  {at("."), "Is a directory"},
                                  {"", "No such file or directory"},
                                  {"/proc/x", "No such file or directory"}}) {
    const auto opened = OutputFile::open(path, true, GetParam());
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().message.en, "cannot write " + path + ": " + why);
  }
}

TEST_P(Folder, a_name_that_somebody_takes_meanwhile_is_left_to_him) {
  auto file = OutputFile::open(at("x"), false, GetParam());
  ASSERT_TRUE(file) << file.error().message.en;
  file->out().write("new");
  fs::create_symlink(made("target", "old"), at("x"));
  const auto done = file->finish();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message.en, "cannot write " + at("x") + ": somebody else has made it meanwhile");
  EXPECT_EQ(slurp(at("target")), "old");
  const std::string aside = done.error().hint.en.substr(done.error().hint.en.rfind(' ') + 1);
  EXPECT_EQ(slurp(at(aside)), "new");
}

}  // namespace
}  // namespace tcpwhy::cli
