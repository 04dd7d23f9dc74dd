// Files that are there whole or not at all, and pictures.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <plexus/io/canvas.hpp>
#include <plexus/io/file.hpp>

#include <cstdio>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace support;
namespace fs = std::filesystem;
namespace px = plexus;

void write_atomically(const fs::path& path, const std::string& text) {
  px::atomic_file file(path, "writing a file");
  file.write(bytes_of(text));
  file.commit();
}

TEST_CASE("a file is there only after commit") {
  const temporary_folder folder;
  write_file(folder / "name", "old");
  {
    px::atomic_file file(folder / "name", "writing a file");
    file.write(bytes_of("new"));
    CHECK(read_file(folder / "name") == "old");
  }
  CHECK(contents(folder.path()) == std::map<std::string, std::string>{{"name", "old"}});
  write_atomically(folder / "name", "new");
  CHECK(contents(folder.path()) == std::map<std::string, std::string>{{"name", "new"}});
}

TEST_CASE("a file may have the longest name there is, and be named without a folder") {
  const temporary_folder folder;
  const std::string longest(255, 'n');
  write_atomically(folder / longest, "text");
  CHECK(read_file(folder / longest) == "text");

  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_atomically("here", "text");
  fs::current_path(before);
  CHECK(read_file(folder / "here") == "text");
}

TEST_CASE("a symbolic link stays one, and what it leads to is replaced") {
  const temporary_folder folder;
  fs::create_directory(folder / "real");
  write_file(folder / "real/name", "old");
  fs::create_symlink("real/name", folder / "link");
  write_atomically(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "real/name") == "new");
  CHECK(contents(folder / "real").size() == 1);
}

TEST_CASE("a symbolic link to a file that is not there yet stays one") {
  const temporary_folder folder;
  fs::create_symlink("later", folder / "link");
  write_atomically(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "later") == "new");
}

TEST_CASE("permissions of a file are those of the one before, or what the process gives to new ones") {
  const temporary_folder folder;
  const auto mode = [&] { return fs::status(folder / "name").permissions(); };
  const mode_t before = ::umask(0022);
  write_atomically(folder / "name", "text");
  ::umask(before);
  CHECK(mode() == fs::perms(0644));
  fs::permissions(folder / "name", fs::perms(0600));
  write_atomically(folder / "name", "text");
  CHECK(mode() == fs::perms(0600));
}

// Whether files may be without a name here.
bool may_be_nameless(const fs::path& folder) {
  const px::file_descriptor file(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  return static_cast<bool>(file);
}

TEST_CASE("what is killed while it writes leaves nothing behind") {
  const temporary_folder folder;
  if (!may_be_nameless(folder.path())) return;
  px::atomic_file file(folder / "name", "writing a file");
  file.write(bytes_of("text"));
  CHECK(contents(folder.path()).empty());
}

// In a child process, from which /proc is hidden where it may do so: there, files have names from the start.
template <class Act>
bool succeeds_without_proc(const Act& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool hidden = ::unshare(CLONE_NEWNS) == 0 &&
                        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                        ::umount2("/proc", MNT_DETACH) == 0;
    if (!hidden) std::fputs("not tested: /proc cannot be hidden\n", stderr);
    bool right = false;
    try {
      right = act();
    } catch (const px::error& failed) {
      std::fprintf(stderr, "%s\n", failed.what());
    }
    ::_exit(right ? 0 : 1);
  }
  int status = -1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

TEST_CASE("temporaries that others left behind are in nobody's way") {
  const auto write_beside_others = [] {
    const temporary_folder folder;
    for (int count = 0; count < 100; ++count)
      write_file(folder / (".plexus-" + std::to_string(::getpid()) + "-" + std::to_string(count) + ".tmp"),
                 "");
    write_atomically(folder / "name", "text");
    return contents(folder.path()).size() == 101 && read_file(folder / "name") == "text";
  };
  // First the child, whose names this process then takes as well.
  CHECK(succeeds_without_proc(write_beside_others));
  CHECK(write_beside_others());
}

TEST_CASE("where a file has a name from the start, it is gone without commit") {
  const temporary_folder folder;
  CHECK(succeeds_without_proc([&] {
    { const px::atomic_file abandoned(folder / "name", "writing a file"); }
    return contents(folder.path()).empty();
  }));
}

TEST_CASE("a source gives its bytes from a file as from memory") {
  const temporary_folder folder;
  write_file(folder / "name", "0123456789");
  const bool from_file = GENERATE(false, true);
  const std::string text = "0123456789";
  px::byte_source source =
      from_file ? px::byte_source(folder / "name", "reading") : px::byte_source(bytes_of(text), "reading");
  CHECK(source.size() == 10);
  std::string part(4, '?');
  CHECK(source.read(std::as_writable_bytes(std::span(part))) == 4);
  CHECK(part == "0123");
  CHECK(source.position() == 4);
  std::string rest(8, '?');
  CHECK(source.read(std::as_writable_bytes(std::span(rest))) == 6);
  CHECK(rest == "456789??");
  CHECK(source.read(std::as_writable_bytes(std::span(rest))) == 0);
}

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = at; i < at + 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

// Undoes PNG for one IDAT chunk and the filters 0 to 4 of its rows (PNG specification, sections 5, 6 and 9).
std::vector<std::uint8_t> decode_png(const std::string& png, std::uint32_t width, std::uint32_t height,
                                     std::uint32_t channels) {
  const std::string header = png.substr(12, 4) + big_endian(width) + big_endian(height) + "\x08" +
                             std::string(1, channels == 3 ? '\x02' : '\x00') + std::string(3, '\0');
  REQUIRE(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  REQUIRE(header == "IHDR" + png.substr(16, 13));
  REQUIRE(number_at(png, 29) == crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17));
  const std::size_t data = 33;
  REQUIRE(png.substr(data + 4, 4) == "IDAT");
  const std::size_t stride = width * channels;
  std::string raw(height * (stride + 1), '\0');
  uLongf size = static_cast<uLongf>(raw.size());
  REQUIRE(uncompress(reinterpret_cast<Bytef*>(raw.data()), &size,
                     reinterpret_cast<const Bytef*>(png.data()) + data + 8, number_at(png, data)) == Z_OK);
  REQUIRE(size == raw.size());
  std::vector<std::uint8_t> pixels(height * stride);
  for (std::size_t y = 0; y < height; ++y) {
    const int filter = raw[y * (stride + 1)];
    for (std::size_t x = 0; x < stride; ++x) {
      const int left = x >= channels ? pixels[y * stride + x - channels] : 0;
      const int above = y > 0 ? pixels[(y - 1) * stride + x] : 0;
      const int corner = y > 0 && x >= channels ? pixels[(y - 1) * stride + x - channels] : 0;
      const int estimate = left + above - corner;
      const int to_left = std::abs(estimate - left), to_above = std::abs(estimate - above);
      const int to_corner = std::abs(estimate - corner);
      const int paeth = to_left <= to_above && to_left <= to_corner ? left
                        : to_above <= to_corner                     ? above
                                                                    : corner;
      const int predicted[] = {0, left, above, (left + above) / 2, paeth};
      pixels[y * stride + x] = static_cast<std::uint8_t>(raw[y * (stride + 1) + 1 + x] + predicted[filter]);
    }
  }
  return pixels;
}

TEST_CASE("a PNG file holds the picture's pixels") {
  const temporary_folder folder;
  const int channels = GENERATE(1, 3);
  px::picture image(7, 5, channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<std::uint8_t>(i * i * 37 + i);
  }
  px::save_png(image, folder / "image.png");
  CHECK(decode_png(read_file(folder / "image.png"), 7, 5, static_cast<std::uint32_t>(channels)) ==
        image.pixels);
}

std::vector<int> ink_of_row(const px::picture& image, int y) {
  std::vector<int> ink;
  for (int x = 0; x < image.width; ++x) ink.push_back(255 - *image.pixel(x, y));
  return ink;
}

TEST_CASE("lines cover pixels by their share of them, and stop at the border") {
  px::picture image(6, 4, 3);
  px::canvas draw(image);
  draw.line({-10, 2}, {10, 2}, 3, {0, 0, 0});  // y from 0.5 to 3.5
  CHECK(ink_of_row(image, 0) == std::vector<int>(6, 127));
  CHECK(ink_of_row(image, 1) == std::vector<int>(6, 255));
  CHECK(ink_of_row(image, 2) == std::vector<int>(6, 255));
  CHECK(ink_of_row(image, 3) == std::vector<int>(6, 127));
  draw.disc({1e300, 1e300}, 5, {0, 0, 0});
  draw.rectangle(-5, -5, 2, 2, {0, 0, 0});
}

TEST_CASE("text is drawn letter by letter, whatever its bytes") {
  px::picture image(60, 10, 3);
  px::canvas draw(image);
  draw.text(0, 0, "I\xc3\xa9\n\xff", 1, {0, 0, 0});
  const auto ink = [](const px::picture& p) {
    return std::count_if(p.pixels.begin(), p.pixels.end(), [](std::uint8_t v) { return v != 255; }) / 3;
  };
  px::picture expected(60, 10, 3);
  px::canvas(expected).text(0, 0, "I???", 1, {0, 0, 0});
  CHECK(ink(image) > 10);
  CHECK(image.pixels == expected.pixels);
  CHECK(px::canvas::text_width("88", 3) == 2 * px::canvas::text_width("8", 3));
}

}  // namespace
