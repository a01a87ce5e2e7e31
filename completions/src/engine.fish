# Completion of ipcbox and its applets for fish.
# Generated from the tables of the program: BLESS=1 cargo test generated

# Prints the rows of a place of the table.
function __ipcbox_table
    switch $argv[1]
@TABLE@
    end
end

# Enters a place of the table.
function __ipcbox_enter --no-scope-shadowing
    set -l there (__ipcbox_table $argv[1])
    set -q there[1]; or return
    set place $argv[1]
    set rows $there
    if string match -q '>*' -- $rows[1]
        set place (string sub -s 2 -- $rows[1])
        set rows (__ipcbox_table $place)
    end
    return 0
end

# Finds the kind of value and the description of a word of this place.
function __ipcbox_find --no-scope-shadowing
    for row in $rows
        set -l fields (string split \t -- $row)
        contains -- $argv[1] (string split , -- $fields[1]); or continue
        set value $fields[2]
        set text $fields[3]
        return 0
    end
    return 1
end

# Offers the words of the rows with this kind of value, or all options.
function __ipcbox_offer_rows --no-scope-shadowing
    for row in $rows
        set -l fields (string split \t -- $row)
        if test "$fields[2]" = $argv[1]; or begin
                test $argv[1] = options; and string match -q -- '-*' $row
            end
            for word in (string split , -- $fields[1])
                echo $word\t$fields[3]
            end
        end
    end
end

# Prints directories and the files that start with $argv[1] and for which the test $argv[2] is true.
function __ipcbox_files
    for file in (__fish_complete_path $argv[1] | string replace -r '\t.*' '')
        set -l path (string replace -r '^~/' "$HOME/" -- $file)
        if test -d $path -o $argv[2] $path
            echo $file
        end
    end
end

# Prints processes or existing objects that start with $argv[1], as ipcbox lists them.
# fish itself would also offer those with that text in the description.
# A called program in PATH is run if its real name is that of ipcbox, otherwise the ipcbox in PATH. A path may be that of any script.
function __ipcbox_live
    set -l word (commandline -opc)[1]
    set -l program
    not string match -q '*/*' -- $word
    and set program (command -s -- $word)
    and set program (realpath $program)
    and string match -qr '/ipcbox[^/]*$' -- $program
    or set program (command -s ipcbox)
    and $program --complete $argv[2] "$argv[1]" 2>/dev/null </dev/null
end

# Prints the values of a kind that start with $argv[2]; objects are of kind $argv[3].
function __ipcbox_values
    set -l place
    set -l rows
    set -l current "$argv[2]"
    switch $argv[1]
        case '=*'
            string split , -- (string sub -s 2 -- $argv[1])
        case ',*'
            set -l before (string match -r -- '.*,|' $current)
            for word in (string split -n , -- $argv[1])
                contains $word (string split , -- $before)
                or echo $before$word
            end
        case '/*'
            # With a slash, a file is meant, or a POSIX object.
            string match -q '*/*' -- $current
            and not string match -q 'ftok:*' -- $current
            and __ipcbox_files "$current" -f
            __ipcbox_values (string sub -s 2 -- $argv[1]) $argv[2..]
        case file
            __fish_complete_path $current
        case dir
            __fish_complete_directories $current ''
        case fifo
            __ipcbox_files "$current" -p
        case socket
            __ipcbox_files "$current" -S
        case address
            if string match -q '*/*' -- $current
                __ipcbox_files "$current" -S
            else
                __ipcbox_live "$current" address
            end
        case pipe
            if set -l pid (string match -r -- '^\d+(?=:)' $current)
                for fd in /proc/$pid/fd/*
                    test -p $fd
                    and echo $pid:(string replace -r '.*/' '' -- $fd)
                end
            else
                __ipcbox_files "$current" -p
            end
        case pid
            __ipcbox_live "$current" pid
        case signal
            set -l before (string match -r -- '^(?:.*[,=])?(?:SIG)?' $current)
            __ipcbox_enter signals
            printf '%s\n' "$before"(__ipcbox_offer_rows -)
        case user
            if set -l user (string match -r -- '^.*:' $current)
                printf '%s\n' $user(__fish_complete_groups)
            else
                __fish_complete_users
            end
        case applet
            __ipcbox_enter .
            __ipcbox_offer_rows verb
        case new key 'ipc*' 'msg*' 'sem*' 'shm*'
            contains $argv[1] new
            or __ipcbox_live "$current" (string replace -r '^ipc' "$argv[3]" -- $argv[1])
            if set -l path (string replace ftok: '' -- $current)
                printf '%s\n' ftok:(__fish_complete_path $path)
                return
            end
            contains $argv[1] new
            and echo private\t'A new object without a key'
            string match -q -r -- '-[ikn]' $argv[1]
            or if contains $argv[1] new key; or string match -q 'f*' -- $current
                echo ftok:\t'The key of a file'
            end
    end
end

function __ipcbox
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l name (string replace -r '.*/' '' -- $words[1])
    set -l place
    set -l rows
    set -l value
    set -l text
    set -l pending
    set -l maybe
    set -l kind ipc
    set -l ended
    set -l count 1
    set -l last (count $words)
    while not __ipcbox_enter $name
        string match -q '*-*' -- $name; or set name -.
        set name (string replace -r '^[^-]*-' '' -- $name)
    end
    # Another program can have this name, such as the sem of GNU parallel.
    set -l files (command -s ipcbox $name)
    if test $name = $words[1]; and set -q files[2]; and test (stat -L -c %d:%i $files | sort -u | count) -gt 1
        __fish_complete_path $current
        return
    end
    set -l i 1
    while test $i -lt $last
        set i (math $i + 1)
        set -l word $words[$i]
        set maybe
        if set -q pending[1]
            set -e pending[1]
        else if test $count = 1; and not set -q ended[1]; and __ipcbox_enter (string replace -r '^\._' '' -- $place'_'$word)
        else if not set -q ended[1]; and test "$word" = --
            set ended 1
            __ipcbox_find --; or continue
            set -l command
            while test $i -lt $last
                set i (math $i + 1)
                set -a command $words[$i]
                test $value = stages -a "$words[$i]" = :::; and set command
            end
            # Completes the command as fish does.
            complete --do-complete=(string join ' ' -- (string escape -- $command) $current)
            return
        else if not set -q ended[1]; and __ipcbox_find "$word"
            switch "$value"
                case '@*'
                    __ipcbox_enter (string sub -s 2 -- $value)
                case '\?*'
                    set maybe (string sub -s 2 -- $value)
                case '+*'
                    set kind (string sub -s 2 -- $value)
                case '?*'
                    set pending $value
            end
        else if set -q ended[1]; or not string match -q -- '-?*' "$word"
            set count (math $count + 1)
        end
    end
    if set -q pending[1]
        __ipcbox_values $pending "$current" $kind
    else if not set -q ended[1]; and string match -q -- '--*=*' $current
        set -l parts (string split -m 1 = -- $current)
        __ipcbox_find $parts[1]
        and printf '%s\n' $parts[1]=(__ipcbox_values (string replace -r '^\?' '' -- $value) "$parts[2]" $kind)
    else if not set -q ended[1]; and string match -q -- '-*' $current
        __ipcbox_offer_rows options
    else
        set -q maybe[1]; and __ipcbox_values $maybe "$current" $kind
        test $count -gt 1; or __ipcbox_offer_rows verb
        if __ipcbox_find "#$count"; or __ipcbox_find '#*'
            __ipcbox_values $value "$current" $kind
        else if __ipcbox_find --
            echo --\t$text
        end
    end
end

for name in @NAMES@
    complete -c $name -k -f -a '(__ipcbox)'
end
