//! Who gives out the program's memory.
//!
//! A plan of some thousand resources is made of some hundred thousand small objects, and glibc hands
//! pages back and asks for them again meanwhile: with mimalloc an unchanged plan of 2,000 resources
//! takes two thirds of the time. A program that chooses for itself leaves the feature off.
//!
//! It asks the kernel for huge pages, each of which is cleared as a whole when a byte of it is
//! touched. That is the cheaper way to much memory, and to a little it takes longer than everything
//! else that a program of an everyday size does before it connects.

/// So many objects take enough memory for huge pages: some 10 KiB each.
const MANY: usize = 1_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes memory in small pages, until it is known how much there has to be. So do the programs that
/// this one starts.
pub(super) fn in_small_pages() {
    huge_pages(false);
}

/// Takes memory for so many objects from now on.
pub(super) fn for_objects(count: usize) {
    if count >= MANY {
        huge_pages(true);
    }
}

/// A kernel that has none, or does not let anybody choose, does as it likes: nothing else is lost.
#[cfg(target_os = "linux")]
fn huge_pages(wanted: bool) {
    let _ = rustix::thread::disable_transparent_huge_pages(!wanted);
}

#[cfg(not(target_os = "linux"))]
fn huge_pages(_wanted: bool) {}
